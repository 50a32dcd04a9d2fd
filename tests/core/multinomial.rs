//! The multinomial: its law, and three ways to relax it.

use crate::common::{close, double, doubles, seeded};
use gengs::prelude::*;
use tch::{Device, Kind, Tensor};

const SCHEMES: [Scheme; 3] = [Scheme::Enumeration, Scheme::Categoricals, Scheme::ConditionalBinomials];

fn law(probs: &[f64], n: i64) -> Multinomial {
    Multinomial::new(n, &Tensor::from_slice(probs)).unwrap()
}

#[test]
fn enumeration_is_the_law() {
    let law = law(&[0.7, 0.2, 0.1], 3);
    let q = law.enumerate().unwrap();
    assert_eq!((q.len(), law.outcomes()), (10, 10.0));
    let log_prob = law.log_prob(q.atoms()).unwrap();
    for (a, b) in doubles(q.log_weights()).iter().zip(doubles(&log_prob)) {
        close("log weight", *a, b, 1e-13);
    }
    // 3! / (2! 1!) .7^2 .2
    close("an outcome", double(&law.log_prob(&Tensor::from_slice(&[2.0, 1.0, 0.0])).unwrap().exp()), 0.294, 1e-12);
    close("total", double(&q.log_weights().logsumexp(-1, false)), 0.0, 1e-13);
    for (what, found, expected) in [("mean", q.mean(), law.mean()), ("variance", q.variance(), law.variance())] {
        for (a, b) in doubles(&found).iter().zip(doubles(&expected)) {
            close(what, *a, b, 1e-12);
        }
    }
    let outside = [[1.0, 1.0, 0.0], [1.5, 1.5, 0.0], [4.0, -1.0, 0.0]];
    for value in outside {
        assert_eq!(double(&law.log_prob(&Tensor::from_slice(&value)).unwrap()), f64::NEG_INFINITY, "{value:?}");
    }
    let draws = q.sample(&[50]).unwrap();
    let expected = doubles(&law.log_prob(&draws).unwrap());
    for (a, b) in doubles(&q.log_prob(&draws).unwrap()).iter().zip(expected) {
        close("log_prob of a draw", *a, b, 1e-13);
    }
    assert!(q.log_prob(&Tensor::from_slice(&[1.0, 1.0, 0.0])).unwrap_err().to_string().contains("sum to 3"));
    let many = Multinomial::new(100, &Tensor::ones([20], (Kind::Float, Device::Cpu))).unwrap();
    assert!(many.enumerate().unwrap_err().to_string().contains("conditional binomials"));
}

#[test]
fn kl_is_that_of_the_enumeration() {
    let (a, b) = (law(&[0.7, 0.2, 0.1], 4), law(&[0.3, 0.3, 0.4], 4));
    let exact = double(&a.enumerate().unwrap().kl(&b.enumerate().unwrap()).unwrap());
    close("kl", double(&a.kl(&b).unwrap()), exact, 1e-12);
    let message = a.kl(&law(&[0.3, 0.3, 0.4], 5)).unwrap_err().to_string();
    assert!(message.contains("sum to 4") && message.contains("sum to 5"), "{message}");
    let message = a.enumerate().unwrap().kl(&law(&[0.5, 0.5], 14).enumerate().unwrap()).unwrap_err().to_string();
    assert!(message.contains("different atoms"), "{message}");
}

#[test]
fn samples_follow_the_pmf() {
    let _guard = seeded(12);
    let law = law(&[0.5, 0.3, 0.2], 4);
    let q = law.enumerate().unwrap();
    let n = 100_000i64;
    let draw = |scheme| MultinomialRelaxation::new(&law, scheme, 0.0).unwrap().rsample(&[n]).unwrap();
    let draws = [law.sample(&[n]).unwrap(), draw(SCHEMES[0]), draw(SCHEMES[1]), draw(SCHEMES[2])];
    for (i, draws) in draws.iter().enumerate() {
        let same = draws.unsqueeze(-2).eq_tensor(q.atoms()).all_dim(-1, false).to_kind(Kind::Double);
        let counts = doubles(&same.sum_dim_intlist(0, false, Kind::Double));
        let expected: Vec<f64> = doubles(&q.log_weights().exp()).iter().map(|p| p * n as f64).collect();
        let chi_squared: f64 = counts.iter().zip(&expected).map(|(o, e)| (o - e).powi(2) / e).sum();
        // 42.58 is the 1e-4 quantile of the upper tail with 14 degrees of freedom.
        assert!(chi_squared < 42.58, "way {i}: {chi_squared}");
    }
}

#[test]
fn counts_sum_to_the_number_of_draws() {
    let _guard = seeded(13);
    for (n, probs) in [(5, vec![0.5, 0.3, 0.2]), (400, vec![0.25; 4]), (3, vec![1.0])] {
        let law = Multinomial::new(n, &Tensor::from_slice(&probs)).unwrap();
        for scheme in SCHEMES.into_iter().filter(|&s| s != Scheme::Enumeration || law.outcomes() <= 1e5) {
            for (forward, temperature) in
                [(Forward::Soft, 0.7), (Forward::Soft, 1e-38), (Forward::StraightThrough, 0.7), (Forward::Soft, 0.0)]
            {
                let relaxation = MultinomialRelaxation::new(&law, scheme, temperature).unwrap().forward(forward);
                let z = relaxation.rsample(&[6, 50]).unwrap();
                assert_eq!(z.size(), [6, 50, probs.len() as i64]);
                let totals = doubles(&z.sum_dim_intlist(-1, false, Kind::Double));
                for total in totals {
                    close(&format!("{scheme:?} {forward:?} {temperature}"), total, n as f64, 1e-12);
                }
                let whole = forward == Forward::StraightThrough || temperature == 0.0;
                assert!(doubles(&z).iter().all(|x| *x >= -1e-9 && (!whole || x.fract() == 0.0)), "{scheme:?} {z:?}");
            }
        }
    }
}

/// The gradient of the mean of every count in every logit: `n p_i (delta_ij - p_j)`.
#[test]
fn gradient_of_the_mean() {
    let _guard = seeded(14);
    let (n, draws) = (6, 40_000i64);
    let probs = [0.5, 0.3, 0.2];
    for scheme in SCHEMES {
        for i in 0..3 {
            // Logits of their own for every draw, so that one backward pass returns every draw's gradient.
            let logits = Tensor::from_slice(&probs).log().repeat([draws, 1]).set_requires_grad(true);
            let law = Multinomial::from_logits(n, &logits).unwrap();
            let z = MultinomialRelaxation::new(&law, scheme, 0.02).unwrap().rsample(&[]).unwrap();
            let each = Tensor::run_backward(&[z.select(-1, i).sum(Kind::Double)], &[&logits], false, false).remove(0);
            for j in 0..3 {
                let column = each.select(1, j as i64);
                let exact = n as f64 * probs[i as usize] * (f64::from(i == j as i64) - probs[j]);
                let standard_error = double(&column.std(true)) / (draws as f64).sqrt();
                let bias = double(&column.mean(Kind::Double)) - exact;
                let bound = 0.01 * exact.abs() + 4.0 * standard_error;
                assert!(bias.abs() <= bound, "{scheme:?}, count {i}, logit {j}: {bias} from {exact}");
            }
        }
    }
}
