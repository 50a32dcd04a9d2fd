//! Each latent's own window, and the prior in all of them.

use crate::distributions::Distribution;
use crate::error::{Error, Result};
use crate::math::lanes::LANES;
use crate::platform::limits::check_shape;
use crate::recurrences::LaneBlock;
use crate::truncation::TruncatedDistribution;
use tch::{Device, Kind, Tensor, no_grad_guard};

/// Log weights of the prior in the windows.
#[derive(Debug)]
pub(super) enum Prior {
    /// In the one window of all latents.
    Window(Vec<f64>),
    /// Of its atoms from the first number on, then with the tails below and above merged into each of them.
    Table { base: i64, interior: Vec<f64>, below: Vec<f64>, above: Vec<f64> },
}

impl Prior {
    pub fn of_window(prior: &TruncatedDistribution) -> Result<Self> {
        Ok(Prior::Window(Vec::try_from(prior.log_weights().detach().to_kind(Kind::Double))?))
    }

    /// Of a law without batch shape, for windows that lie in `lo ..= hi`.
    pub fn of_law(prior: &dyn Distribution, (lo, hi): (i64, i64)) -> Result<Self> {
        let _guard = no_grad_guard();
        let support = prior.support();
        if support.nearest(lo) != lo || support.nearest(hi) != hi {
            return Err(Error::parameter(
                "window of the one-pass sampler",
                format!("{lo}..={hi}"),
                format!("within the support of the prior, {support}"),
            ));
        }
        check_shape("log weights of a prior", &[hi - lo + 1], Kind::Double)?;
        let ks = Tensor::arange_start(lo, hi + 1, (Kind::Double, prior.device()));
        let interior: Vec<f64> = Vec::try_from(prior.unsqueeze().log_pmf(&ks).reshape([-1]))?;
        let log_add = |a: f64, b: f64| {
            let (large, small) = if a > b { (a, b) } else { (b, a) };
            if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
        };
        let cumulated = |start: f64, terms: &mut dyn Iterator<Item = &f64>| -> Vec<f64> {
            let sums = terms.scan(start, |sum, &term| {
                *sum = log_add(*sum, term);
                Some(*sum)
            });
            sums.collect()
        };
        let below = cumulated(prior.log_tails(lo)?.0.double_value(&[]), &mut interior.iter());
        let mut above = cumulated(prior.log_tails(hi + 1)?.1.double_value(&[]), &mut interior.iter().rev());
        above.reverse();
        Ok(Prior::Table { base: lo, interior, below, above })
    }

    /// The prior in a window as a law on a device, float64.
    pub fn truncated(&self, (lo, hi): (i64, i64), device: Device) -> TruncatedDistribution {
        let log_weights = match self {
            Prior::Window(log_weights) => log_weights.clone(),
            Prior::Table { base, interior, below, above } => {
                let (from, to) = ((lo - base) as usize, (hi - base) as usize);
                let mut log_weights = interior[from..=to].to_vec();
                let count = log_weights.len();
                (log_weights[0], log_weights[count - 1]) = (below[from], above[to]);
                if count == 1 { vec![0.0] } else { log_weights }
            }
        };
        TruncatedDistribution::on_integers(Tensor::from_slice(&log_weights).to_device(device), lo)
    }

    /// Writes the log weights of a block's lanes.
    pub fn fill(&self, lanes: &mut LaneBlock) {
        match self {
            Prior::Window(log_weights) => {
                // The window is the same for all lanes, and starts at its own first row.
                let first = lanes.first(0);
                for (row, &log_weight) in lanes.log_prior[first..].iter_mut().zip(log_weights) {
                    *row = [log_weight; LANES];
                }
            }
            Prior::Table { base, interior, below, above } => {
                for lane in 0..LANES {
                    let (lo, hi) = lanes.windows[lane];
                    let first = lanes.first(lane);
                    let from = (lo - base) as usize;
                    let count = (hi - lo + 1) as usize;
                    for (row, &log_pmf) in lanes.log_prior[first..].iter_mut().zip(&interior[from..from + count]) {
                        row[lane] = log_pmf;
                    }
                    lanes.log_prior[first][lane] = below[from];
                    lanes.log_prior[first + count - 1][lane] = above[from + count - 1];
                    if count == 1 {
                        lanes.log_prior[first][lane] = 0.0;
                    }
                }
            }
        }
    }
}

/// Fails for a prior that asks for a gradient, which the sampler does not pass on.
pub(super) fn check_no_gradient(prior: &Tensor) -> Result<()> {
    if !prior.requires_grad() {
        return Ok(());
    }
    let found = "a law with a gradient";
    let allowed = "without one: detach it, or compute the KL by `TruncatedDistribution::kl`, which passes it on";
    Err(Error::parameter("prior of the one-pass sampler", found, allowed))
}
