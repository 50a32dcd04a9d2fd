//! The VAE's numbers against enumeration of its latents.

use crate::common::{LATENT_FAMILIES, close, double, doubles, seeded};
use gengs::estimators::EstimatorKind;
use gengs::models::{Elbo, Family, Inference, LatentConfig, Vae, VaeConfig};
use gengs::relaxation::Forward;
use gengs::relaxation::Pathwise;
use gengs::sampler::{Backend, NoiseKey};
use gengs::{TruncatedDistribution, Truncation};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

const PIXELS: i64 = 6;

fn model(family: Family, inference: Inference, latents: i64) -> (VarStore, Vae) {
    let store = VarStore::new(Device::Cpu);
    let atoms = if family == Family::Bernoulli { 2 } else { 6 };
    let latent =
        LatentConfig { family, prior: None, truncation: Truncation::right(atoms).allow_low_mass(), inference, latents };
    let vae = Vae::new(&store.root(), &VaeConfig { pixels: PIXELS, hidden: vec![8], latent }).unwrap();
    // Weights far from their small start, so that posteriors differ from the prior and from each other.
    tch::no_grad(|| store.variables().values().for_each(|w| drop(w.shallow_clone().g_mul_scalar_(3.0))));
    (store, vae)
}

fn images() -> Tensor {
    Tensor::randint(2, [4, PIXELS], (Kind::Float, Device::Cpu))
}

/// `-log p(x | z)` for every pair of an image and an atom of a single latent, `[B, n]`.
fn reconstructions(vae: &Vae, x: &Tensor, q: &TruncatedDistribution) -> Tensor {
    let atoms = q.atoms().unsqueeze(1);
    let log_probs = vae.decode(&atoms).unwrap().log_sigmoid();
    let log_complements = vae.decode(&atoms).unwrap().neg().log_sigmoid();
    let off: Tensor = 1.0 - x;
    -(x.matmul(&log_probs.transpose(0, 1)) + off.matmul(&log_complements.transpose(0, 1)))
}

fn each(check: impl Fn(&str, &Vae)) {
    for family in LATENT_FAMILIES {
        for inference in [Inference::Explicit, Inference::Implicit] {
            let (_store, vae) = model(family, inference, 1);
            check(&format!("{family:?} {inference:?}"), &vae);
        }
    }
}

#[test]
fn bounds_are_those_of_enumeration() {
    let _guard = seeded(3);
    let x = images();
    each(|what, vae| {
        let q = vae.posterior(&x).unwrap();
        let weights = q.log_weights().exp().squeeze_dim(1);
        let costs = reconstructions(vae, &x, &q);
        let expected = doubles(&(&weights * &costs).sum_dim_intlist(-1, false, None::<Kind>));
        let second = doubles(&(&weights * &costs * &costs).sum_dim_intlist(-1, false, None::<Kind>));
        let log_joint = vae.prior().log_weights() - &costs;
        let exact = doubles(&-log_joint.logsumexp(-1, false));
        let kl = doubles(&q.kl(vae.prior()).unwrap());
        // E_q w^2 / (E_q w)^2 - 1 of the importance weights w = p(x, z) / q(z | x), by enumeration.
        let log_second = (&log_joint * 2.0 - q.log_weights().squeeze_dim(1)).logsumexp(-1, false);
        let spread = doubles(&(log_second - log_joint.logsumexp(-1, false) * 2.0).expm1());

        let samples = 4000;
        let bound = vae.importance_bound(&x, samples).unwrap();
        let reconstruction = doubles(&bound.elbo.reconstruction);
        let iwae = doubles(&bound.neg_iwae);
        let elbo_kl = doubles(&bound.elbo.kl);
        for i in 0..4 {
            let standard_error = ((second[i] - expected[i].powi(2)).max(0.0) / samples as f64).sqrt();
            assert!(
                (reconstruction[i] - expected[i]).abs() < 4.5 * standard_error + 1e-4,
                "{what}: reconstruction {} instead of {}",
                reconstruction[i],
                expected[i]
            );
            close(&format!("{what}: KL"), elbo_kl[i], kl[i], 1e-5);
            // The mean of S weights is the likelihood within its standard error; its logarithm, within the same, relative.
            let relative = (spread[i] / samples as f64).sqrt();
            assert!(relative < 0.3, "{what}: the weights are too wild to compare, {relative}");
            let off = (iwae[i] - exact[i]).abs();
            assert!(off < 5.0 * relative + 1e-4, "{what}: bound {} instead of {}", iwae[i], exact[i]);
            assert!(expected[i] + kl[i] >= exact[i] - 1e-4, "{what}: the ELBO exceeds the likelihood");
        }
    });
}

#[test]
fn the_importance_bound_grows_with_samples() {
    let _guard = seeded(6);
    let (_store, vae) = model(Family::Poisson, Inference::Explicit, 5);
    let x = images().repeat([2000, 1]);
    let bound = |samples| double(&vae.importance_bound(&x, samples).unwrap().neg_iwae.mean(Kind::Double));
    let (one, five, fifty) = (bound(1), bound(5), bound(50));
    assert!(one > five && five > fifty, "{one} {five} {fifty}");
    assert!(vae.importance_bound(&x, 0).unwrap_err().to_string().contains("importance samples"));
}

#[test]
fn a_zero_output_of_the_encoder_is_the_prior() {
    let _guard = seeded(5);
    each(|what, vae| {
        // An encoder of zeros puts out zeros.
        let x = Tensor::zeros([1, PIXELS], (Kind::Float, Device::Cpu));
        assert!(vae.posterior(&x).is_ok(), "{what}");
    });
    for family in LATENT_FAMILIES {
        let (store, vae) = model(family, Inference::Explicit, 3);
        tch::no_grad(|| store.variables().values().for_each(|w| drop(w.shallow_clone().zero_())));
        let x = Tensor::ones([2, PIXELS], (Kind::Float, Device::Cpu));
        let kl = vae.posterior(&x).unwrap().kl(vae.prior()).unwrap();
        assert!(double(&kl.abs().max()) < 1e-5, "{family:?}: {kl:?}");
    }
}

#[test]
fn the_relaxed_objective_has_a_gradient_everywhere_and_the_hard_limit_its_value() {
    let _guard = seeded(8);
    let x = images();
    for family in LATENT_FAMILIES {
        for inference in [Inference::Explicit, Inference::Implicit] {
            for (forward, key) in [
                (Forward::Soft, None),
                (Forward::StraightThrough, None),
                (Forward::Soft, Some(NoiseKey::new(1, 2))),
                (Forward::StraightThrough, Some(NoiseKey::new(1, 2))),
            ] {
                let (store, vae) = model(family, inference, 3);
                let elbo = vae.relaxed_elbo(&x, 0.5, forward, key).unwrap();
                // However it is computed, the KL is that of the posterior.
                let kl = vae.posterior(&x).unwrap().kl(vae.prior()).unwrap();
                let error = (&elbo.kl - kl.sum_dim_intlist(-1, false, Kind::Float)).abs().max();
                assert!(double(&error) < 1e-4, "{family:?} {inference:?} {key:?}: the KL is off by {error:?}");
                (elbo.reconstruction + elbo.kl).sum(Kind::Float).backward();
                for (name, variable) in store.variables() {
                    let gradient = variable.grad();
                    assert!(gradient.defined() && gradient.isfinite().all().int64_value(&[]) == 1, "{family:?} {name}");
                    assert!(double(&gradient.abs().sum(Kind::Double)) > 0.0, "{family:?} {inference:?} {name}");
                }
            }
        }
    }
}

/// An image with few pixels on is seen by these alone, to the same effect.
#[test]
fn the_relaxed_objective_is_the_same_by_the_pixels_that_are_on() {
    let _guard = seeded(10);
    let x = Tensor::eye(PIXELS, (Kind::Float, Device::Cpu));
    for inference in [Inference::Explicit, Inference::Implicit] {
        let (store, vae) = model(Family::Poisson, inference, 3);
        let key = Some(NoiseKey::new(3, 4));
        let whole = vae.relaxed_elbo(&x, 0.5, Forward::Soft, key).unwrap();
        let (by_pixels, product) =
            vae.pathwise_elbo_sparse(&x, Pathwise::Relaxed { temperature: 0.5, forward: Forward::Soft }, key).unwrap();
        let product = product.unwrap();
        assert_eq!(product.name, "encoder.0.weight");
        for (a, b) in [(&whole.reconstruction, &by_pixels.reconstruction), (&whole.kl, &by_pixels.kl)] {
            assert!(b.allclose(a, 1e-5, 1e-6, false), "{inference:?}: {a} {b}");
        }
        let gradient = |elbo: Elbo, of: &Tensor| {
            Tensor::run_backward(&[(elbo.reconstruction + elbo.kl).sum(Kind::Float)], &[of], false, false).remove(0)
        };
        let exact = gradient(whole, &store.variables()["encoder.0.weight"]);
        let found = product.gradient(&gradient(by_pixels, &product.leaf));
        assert!(found.allclose(&exact, 1e-4, 1e-5, false), "{inference:?}: {found} {exact}");
        // With all pixels on, there is nothing to gain.
        assert!(
            vae.pathwise_elbo_sparse(
                &x.ones_like(),
                Pathwise::Relaxed { temperature: 0.5, forward: Forward::Soft },
                key
            )
            .unwrap()
            .1
            .is_none()
        );
    }
}

/// With a key, a batch is the sum of its rows whatever the sampler: the same key gives the same step, another key another.
#[test]
fn a_key_fixes_the_noise() {
    let _guard = seeded(9);
    let x = images();
    for inference in [Inference::Explicit, Inference::Implicit] {
        let (_store, vae) = model(Family::Poisson, inference, 3);
        let at = |key| doubles(&vae.relaxed_elbo(&x, 0.5, Forward::Soft, Some(key)).unwrap().reconstruction);
        assert_eq!(at(NoiseKey::new(1, 2)), at(NoiseKey::new(1, 2)), "{inference:?}");
        assert!(at(NoiseKey::new(1, 2)) != at(NoiseKey::new(1, 3)), "{inference:?}");
        assert_eq!(vae.drawn_by(), Some(Backend::OnePass));
    }
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let _guard = seeded(7);
    let refused = |family, prior, truncation| {
        let store = VarStore::new(Device::Cpu);
        let latent = LatentConfig { family, prior, truncation, inference: Inference::Explicit, latents: 2 };
        Vae::new(&store.root(), &VaeConfig { pixels: PIXELS, hidden: vec![4], latent }).unwrap_err().to_string()
    };
    assert!(refused(Family::Poisson, Some(-1.0), Truncation::right(12)).contains("prior mean is -1"));
    assert!(refused(Family::Poisson, Some(50.0), Truncation::right(12)).contains("mass"));
    assert!(refused(Family::Bernoulli, Some(1.0), Truncation::right(2)).contains("(0, 1)"));
    assert!(refused(Family::Binomial, Some(11.0), Truncation::right(12)).contains("below the number of trials"));
    assert!(refused(Family::Binomial, None, Truncation::tail_mass(1e-3)).contains("number of atoms"));
    assert!(refused(Family::Binomial, None, Truncation::right(1)).contains("number of trials, 0"));
    assert!(refused(Family::Categorical, Some(2.0), Truncation::right(12)).contains("uniform"));
    assert!(refused(Family::Categorical, None, Truncation::tail_mass(1e-3)).contains("number of classes"));
}

/// The negative ELBO's gradient in all parameters, KL included, summed over a batch; flat, float64.
fn gradient(store: &VarStore, elbo: &Elbo) -> Tensor {
    let mut named: Vec<_> = store.variables().into_iter().collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    let parameters: Vec<Tensor> = named.into_iter().map(|(_, parameter)| parameter).collect();
    let loss = (&elbo.reconstruction + &elbo.kl).sum(None::<Kind>);
    let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
    Tensor::cat(&gradients.iter().map(|g| g.reshape([-1])).collect::<Vec<_>>(), 0).to_kind(Kind::Double)
}

/// Encoder and decoder together: along the exact gradient, by enumeration of all outcomes of two latents, the mean over many estimates is the exact
/// one, for every estimator that claims it.
#[test]
fn estimators_train_encoder_and_decoder_along_the_exact_gradient() {
    let guard = seeded(6);
    for family in [Family::Poisson, Family::Categorical] {
        let (store, vae) = model(family, Inference::Explicit, 2);
        let setting = vae.estimator_setting(0.5);
        let rows = 400;
        let x = images().repeat([rows / 4, 1]);
        let exact_elbo = vae.estimated_elbo(&x, EstimatorKind::Exact.build(&setting).unwrap().as_mut(), 1).unwrap();
        let exact_value = double(&(&exact_elbo.reconstruction + &exact_elbo.kl).mean(Kind::Double));
        let exact = gradient(&store, &exact_elbo);
        let direction = &exact / exact.norm();
        let fits = |kind: &EstimatorKind| family == Family::Poisson || !kind.needs_numbers();
        for kind in EstimatorKind::ALL.into_iter().filter(fits) {
            let mut estimator = kind.build(&setting).unwrap();
            let samples = kind.fewest_samples();
            let mut along = Vec::new();
            let mut values = Vec::new();
            for _ in 0..30 {
                let elbo = vae.estimated_elbo(&x, estimator.as_mut(), samples).unwrap();
                along.push(double(&gradient(&store, &elbo).dot(&direction)));
                values.push(double(&(&elbo.reconstruction + &elbo.kl).mean(Kind::Double)));
            }
            let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
            let found = mean(&along);
            let deviations: Vec<f64> = along.iter().map(|x| (x - found).powi(2)).collect();
            let error = (mean(&deviations) / (along.len() - 1) as f64).sqrt();
            let expected = double(&exact.norm());
            let what = format!("{family:?} {kind}: {found} +- {error}, not {expected}");
            match kind {
                EstimatorKind::Vimco => assert!(mean(&values) < exact_value, "{what}"),
                _ if kind.is_unbiased(2) => {
                    assert!((found - expected).abs() <= 4.0 * error + 1e-4 * expected, "{what}");
                    assert!((mean(&values) / exact_value - 1.0).abs() < 0.02, "{what}");
                }
                _ => assert!(found > 0.3 * expected, "{what}"),
            }
        }
    }
    drop(guard);
}

/// What a model cannot take is an error that says so; other floating-point kinds and memory layouts are the same images.
#[test]
fn images_and_latents_that_do_not_fit_are_errors() {
    let _guard = seeded(2);
    use gengs::estimators::EstimatorKind;
    use gengs::models::{Family, Inference, LatentConfig, Vae, VaeConfig};
    use gengs::relaxation::Forward;
    let store = tch::nn::VarStore::new(tch::Device::Cpu);
    let latent = LatentConfig {
        family: Family::Poisson,
        prior: None,
        truncation: gengs::Truncation::right(12),
        inference: Inference::Explicit,
        latents: 3,
    };
    let vae = Vae::new(&store.root(), &VaeConfig { pixels: 16, hidden: vec![5], latent }).unwrap();
    let float = (tch::Kind::Float, tch::Device::Cpu);
    let good = tch::Tensor::rand([4, 16], float);
    let mut estimator = EstimatorKind::ReinforceLoo.build(&vae.estimator_setting(0.5)).unwrap();
    for wrong in [
        tch::Tensor::zeros([4, 15], float),
        tch::Tensor::zeros([2, 4, 4], float),
        tch::Tensor::zeros([16], float),
        tch::Tensor::zeros([0, 16], float),
        tch::Tensor::new(),
        good.to_kind(tch::Kind::Uint8),
        &good / 0.0,
        &good * f64::NAN,
    ] {
        assert!(vae.posterior(&wrong).is_err() && vae.reconstruct(&wrong).is_err());
        assert!(vae.relaxed_elbo(&wrong, 0.5, Forward::Soft, None).is_err());
        assert!(
            vae.pathwise_elbo_sparse(&wrong, Pathwise::Relaxed { temperature: 0.5, forward: Forward::Soft }, None)
                .is_err()
        );
        assert!(vae.estimated_elbo(&wrong, estimator.as_mut(), 2).is_err() && vae.importance_bound(&wrong, 2).is_err());
    }
    let mean = |x: &tch::Tensor| vae.posterior(x).unwrap().mean();
    let spread = tch::Tensor::stack(&[&good, &good], 2).select(2, 1);
    for same in [good.to_kind(tch::Kind::Double), spread] {
        assert!((mean(&same) - mean(&good)).abs().max().double_value(&[]) < 1e-6);
    }
    let z = tch::Tensor::ones([4, 3], (tch::Kind::Int64, tch::Device::Cpu));
    assert_eq!(vae.decode(&z).unwrap().size(), [4, 16]);
    for wrong in [tch::Tensor::ones([4, 2], float), tch::Tensor::new(), tch::Tensor::from(1.0)] {
        assert!(vae.decode(&wrong).is_err());
    }
    assert!(vae.generate(0).is_err() && vae.generate(-1).is_err() && vae.generate(2).is_ok());
}

/// Images whose posteriors take 160 MB at once, where a tensor may have 64.
#[test]
fn evaluation_takes_as_many_images_at_once_as_a_tensor_holds() {
    let _guard = seeded(5);
    let truncation = Truncation::right(1000).allow_low_mass();
    let latent =
        LatentConfig { family: Family::Poisson, prior: None, truncation, inference: Inference::Explicit, latents: 100 };
    let store = VarStore::new(Device::Cpu);
    let vae = Vae::new(&store.root(), &VaeConfig { pixels: PIXELS, hidden: vec![8], latent }).unwrap();
    assert_eq!((vae.images_at_once(1), vae.images_at_once(1000)), (167, 16));
    gengs::set_largest_tensor(64 << 20);
    assert_eq!(vae.images_at_once(1), 83);
    let x = Tensor::randint(2, [200, PIXELS], (Kind::Uint8, Device::Cpu));
    let bytes = Vec::<u8>::try_from(&x.reshape([-1])).unwrap();
    let images = gengs::data::Images::new(&bytes, 200, PIXELS, gengs::data::Pixels::Binary).unwrap();
    let found = gengs::training::evaluate(&vae, &images, 1, 0.5, 500, 0);
    gengs::set_largest_tensor(1 << 30);
    assert_eq!(found.unwrap().examples, 200);
}
