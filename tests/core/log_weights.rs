//! Log weights and their derivatives in every parameter, against a 50-digit reference.

use crate::common::{FAMILIES, close, double, family};
use gengs::prelude::*;
use serde::Deserialize;
use tch::{Device, Kind, Tensor};

#[derive(Deserialize)]
struct Case {
    family: String,
    parameters: Vec<f64>,
    lo: i64,
    hi: i64,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    atom: i64,
    log_weight: f64,
    derivatives: Vec<f64>,
}

fn compare(kind: Kind, lowest_log_weight: f64, bound: f64) {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../fixtures/log_weights.json")).unwrap();
    let mut compared = 0;
    for case in cases {
        let (_, _, fixed) = FAMILIES.into_iter().find(|family| family.0 == case.family).unwrap();
        let leaves: Vec<Tensor> = case
            .parameters
            .iter()
            .enumerate()
            .map(|(i, &value)| Tensor::full([], value, (kind, Device::Cpu)).set_requires_grad(i >= fixed))
            .collect();
        let truncation = Truncation::between(case.lo, case.hi).allow_low_mass();
        let q = TruncatedDistribution::new(family(&case.family, &leaves).as_ref(), &truncation).unwrap();
        for row in case.rows.iter().filter(|row| row.log_weight >= lowest_log_weight) {
            let what = format!("{kind:?} {} {:?} atom {}", case.family, case.parameters, row.atom);
            let log_weight = q.log_weights().select(0, row.atom - case.lo);
            close(&what, double(&log_weight), row.log_weight, bound);
            let gradients = Tensor::run_backward(&[log_weight], &leaves[fixed..], true, false);
            for (gradient, &expected) in gradients.iter().zip(&row.derivatives) {
                let found = double(gradient);
                close(&format!("{what}, derivative"), found, expected, bound);
                assert!(found != 0.0 || expected.abs() < 1e-30, "{what}: the gradient is zero, not {expected}");
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "only {compared} derivatives were compared");
}

#[test]
fn in_float32_down_to_a_log_weight_of_minus_80() {
    compare(Kind::Float, -80.0, 1e-5);
}

#[test]
fn in_float64_down_to_a_log_weight_of_minus_10000() {
    compare(Kind::Double, -1e4, 1e-9);
}
