//! The autoencoder, of any shape, and with images of any kind.

use super::Call;
use super::expected::{documented, is_finite, plain};
use super::source::{CPU, Source};
use crate::common::LATENT_FAMILIES;
use gengs::estimators::EstimatorKind;
use gengs::models::{Elbo, Family, Inference, LatentConfig, Vae, VaeConfig};
use gengs::prelude::*;
use gengs::relaxation::Pathwise;
use gengs::sampler::NoiseKey;
use rand::RngExt;
use tch::nn::VarStore;
use tch::{Kind, Tensor};

const PIXELS: i64 = 6;

/// A model of small, sound settings.
fn model(s: &mut Source) -> (VarStore, Vae) {
    let (family, inference) = (s.pick(&LATENT_FAMILIES), s.pick(&[Inference::Explicit, Inference::Implicit]));
    let atoms = if family == Family::Bernoulli { 2 } else { 6 };
    let truncation = Truncation::right(atoms).allow_low_mass();
    let latent = LatentConfig { family, prior: None, truncation, inference, latents: s.pick(&[1, 3]) };
    let store = VarStore::new(CPU);
    let vae = Vae::new(&store.root(), &VaeConfig { pixels: PIXELS, hidden: vec![8], latent }).unwrap();
    (store, vae)
}

/// Images, mostly from 0 to 1, and whether they are.
fn images(s: &mut Source) -> (Tensor, bool) {
    if s.rarely(40) {
        return (Tensor::full([1, 1], 0.5, (Kind::Float, CPU)).expand([1 << 34, PIXELS], false), true);
    }
    let x = if s.rarely(40) { Tensor::new() } else { s.tensor(0.5, &[4, PIXELS]) };
    let pixels = x.defined() && x.is_floating_point() && x.numel() < 1 << 20 && x.numel() > 0;
    let usual = pixels && {
        let plain = plain(&x);
        plain.ge(0.0).logical_and(&plain.le(1.0)).all().int64_value(&[]) == 1
    };
    (x, usual)
}

/// The parts, finite where they must be, with a gradient in the model where one is to be had.
fn check(store: &VarStore, elbo: &Elbo, x: &Tensor, usual: bool, trained: bool) {
    for part in [&elbo.reconstruction, &elbo.kl] {
        documented(part, &x.size()[..1], Kind::Float);
        assert!(!usual || is_finite(part), "{part:?}");
    }
    let loss = (&elbo.reconstruction + &elbo.kl).sum(None::<Kind>);
    assert_eq!(loss.requires_grad(), trained);
    if trained {
        let gradients = Tensor::f_run_backward(&[loss], &store.trainable_variables(), false, false).unwrap();
        assert!(!usual || gradients.iter().filter(|gradient| gradient.defined()).all(is_finite));
    }
}

pub const CALLS: &[(&str, Call)] = &[
    ("Vae::new", |s| {
        let truncation = match s.0.random_range(0..3) {
            0 => Truncation::right(s.count(6)),
            1 => Truncation::between(s.count(0), s.count(5)),
            _ => Truncation::tail_mass(s.number(1e-3)),
        };
        let truncation = if s.rarely(3) { truncation.merge_at_mean() } else { truncation };
        let family = s.pick(&LATENT_FAMILIES);
        let usual = if family == Family::Bernoulli { 0.5 } else { 2.0 };
        let latent = LatentConfig {
            family,
            prior: if family == Family::Categorical || s.rarely(2) { None } else { Some(s.number(usual)) },
            truncation: if s.rarely(2) { truncation } else { truncation.allow_low_mass() },
            inference: s.pick(&[Inference::Explicit, Inference::Implicit]),
            latents: s.count(3),
        };
        let hidden = match s.0.random_range(0..6) {
            0 => vec![],
            1 => vec![s.count(8); 3],
            _ => vec![s.count(8), s.count(7)],
        };
        let store = VarStore::new(CPU);
        let vae = Vae::new(&store.root(), &VaeConfig { pixels: s.count(PIXELS), hidden, latent })?;
        let x = Tensor::full([2, vae.pixels()], 0.5, (Kind::Float, CPU));
        let key = s.pick(&[None, Some(NoiseKey::new(1, 2))]);
        check(&store, &vae.relaxed_elbo(&x, 0.5, Forward::Soft, key)?, &x, true, true);
        assert!(is_finite(&vae.generate(2)?) && is_finite(&vae.reconstruct(&x)?));
        Ok(())
    }),
    ("Vae::posterior, reconstruct", |s| {
        let (_store, vae) = model(s);
        let (x, usual) = images(s);
        let q = vae.posterior(&x)?;
        assert_eq!(q.batch_shape()[0], x.size()[0]);
        let images = vae.reconstruct(&x)?;
        documented(&images, &x.size(), Kind::Float);
        assert!(!usual || is_finite(&images) && is_finite(&q.kl(vae.prior())?));
        Ok(())
    }),
    ("Vae::relaxed_elbo, pathwise_elbo_sparse", |s| {
        let (store, vae) = model(s);
        let (mut x, usual) = images(s);
        if usual && x.numel() < 1 << 20 && s.rarely(2) {
            x = x.detach() * (x.detach().rand_like().lt(0.1).to_kind(x.kind()));
        }
        let temperature = s.number(0.5);
        let forward = s.pick(&[Forward::Soft, Forward::StraightThrough]);
        let key = s.pick(&[None, Some(NoiseKey::new(3, 4))]);
        let usual = usual && (1e-3..1e3).contains(&temperature);
        if s.rarely(2) {
            check(&store, &vae.relaxed_elbo(&x, temperature, forward, key)?, &x, usual, true);
        } else {
            let (elbo, _product) = vae.pathwise_elbo_sparse(&x, Pathwise::Relaxed { temperature, forward }, key)?;
            check(&store, &elbo, &x, usual, true);
        }
        Ok(())
    }),
    ("Vae::estimated_elbo", |s| {
        let (store, vae) = model(s);
        let (x, usual) = images(s);
        let temperature = s.number(0.5);
        let mut estimator = s.pick(&EstimatorKind::ALL).build(&vae.estimator_setting(temperature))?;
        let elbo = vae.estimated_elbo(&x, estimator.as_mut(), s.count(2))?;
        check(&store, &elbo, &x, usual && (1e-3..1e3).contains(&temperature), true);
        Ok(())
    }),
    ("Vae::importance_bound", |s| {
        let (store, vae) = model(s);
        let (x, usual) = images(s);
        let bound = vae.importance_bound(&x, s.integer(3))?;
        documented(&bound.neg_iwae, &x.size()[..1], Kind::Float);
        assert!(!usual || is_finite(&bound.neg_iwae) && is_finite(&bound.posterior_mean));
        check(&store, &bound.elbo, &x, usual, false);
        Ok(())
    }),
    ("Vae::decode, generate", |s| {
        let (_store, vae) = model(s);
        let q = vae.posterior(&Tensor::full([4, PIXELS], 0.5, (Kind::Float, CPU)))?;
        let usual = q.mean();
        let z = if s.rarely(40) { usual.narrow(0, 0, 1).expand_as(&usual) } else { s.tensor(1.0, &usual.size()) };
        let z = if s.rarely(40) {
            Tensor::zeros([1], (Kind::Float, CPU)).expand([&[1 << 34], &usual.size()[1..]].concat(), false)
        } else {
            z
        };
        let logits = vae.decode(&z)?;
        let rows = &z.size()[..z.dim() + 1 - usual.dim()];
        documented(&logits, &[rows, &[PIXELS]].concat(), Kind::Float);
        let generated = vae.generate(s.integer(2))?;
        assert!(is_finite(&generated) && generated.size()[1] == PIXELS);
        Ok(())
    }),
];
