//! Tails by plain sums in float64: the pmf by its recurrence from one point, scores by their formulas, term by term until nothing is
//! added. Shares no code and no method with the library.

/// One side of a window: mass, mean distance from the window's end times mass, and the derivative of the latter in each parameter.
#[derive(Debug, Clone)]
pub struct Side {
    pub mass: f64,
    pub excess: f64,
    pub derivatives: Vec<f64>,
}

impl Side {
    fn nothing(parameters: usize) -> Self {
        Self { mass: 0.0, excess: 0.0, derivatives: vec![0.0; parameters] }
    }

    fn scaled(&self, by: f64) -> Self {
        let derivatives = self.derivatives.iter().map(|d| d * by).collect();
        Self { mass: self.mass * by, excess: self.excess * by, derivatives }
    }
}

/// `log Gamma(x)`, by recurrence up to 20 and Stirling's series from there.
pub fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 20.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = 1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0));
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series / x
}

/// The derivative of `ln_gamma`.
pub fn digamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 20.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    shift + x.ln()
        - 0.5 / x
        - inverse * (1.0 / 12.0 - inverse * (1.0 / 120.0 - inverse * (1.0 / 252.0 - inverse / 240.0)))
}

type OfAtom<T> = Box<dyn Fn(f64) -> T>;

/// A law by its pmf's recurrence.
struct Recurrence {
    lowest: f64,
    highest: f64,
    log_p: OfAtom<f64>,
    /// `p(k + 1) / p(k)`.
    ratio: OfAtom<f64>,
    scores: OfAtom<Vec<f64>>,
}

enum Kind {
    Recurrence(Recurrence),
    Skellam { rate1: f64, rate2: f64 },
    Logistic { loc: f64, scale: f64 },
    ZeroInflated { gate: f64, rate: f64 },
    Mixture { weights: [f64; 2], parts: [Box<Plain>; 2] },
}

/// A law whose tails are summed plainly.
pub struct Plain(Kind);

impl Plain {
    pub fn new(name: &str, p: &[f64]) -> Self {
        let p = p.to_vec();
        let recurrence =
            |lowest: f64, highest: f64, log_p: OfAtom<f64>, ratio: OfAtom<f64>, scores: OfAtom<Vec<f64>>| {
                Kind::Recurrence(Recurrence { lowest, highest, log_p, ratio, scores })
            };
        let choose = |n: f64, k: f64| ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
        Self(match name {
            "poisson" => {
                let rate = p[0];
                recurrence(
                    0.0,
                    f64::INFINITY,
                    Box::new(move |k| k * rate.ln() - rate - ln_gamma(k + 1.0)),
                    Box::new(move |k| rate / (k + 1.0)),
                    Box::new(move |k| vec![k / rate - 1.0]),
                )
            }
            "geometric" => {
                let q = p[0];
                recurrence(
                    0.0,
                    f64::INFINITY,
                    Box::new(move |k| q.ln() + k * (-q).ln_1p()),
                    Box::new(move |_| 1.0 - q),
                    Box::new(move |k| vec![1.0 / q - k / (1.0 - q)]),
                )
            }
            "negative-binomial" => {
                let (r, q) = (p[0], p[1]);
                recurrence(
                    0.0,
                    f64::INFINITY,
                    Box::new(move |k| {
                        ln_gamma(k + r) - ln_gamma(r) - ln_gamma(k + 1.0) + r * (-q).ln_1p() + k * q.ln()
                    }),
                    Box::new(move |k| q * (k + r) / (k + 1.0)),
                    Box::new(move |k| vec![digamma(k + r) - digamma(r) + (-q).ln_1p(), k / q - r / (1.0 - q)]),
                )
            }
            "binomial" | "bernoulli" => {
                let (n, q) = if name == "binomial" { (p[0], p[1]) } else { (1.0, p[0]) };
                recurrence(
                    0.0,
                    n,
                    Box::new(move |k| choose(n, k) + k * q.ln() + (n - k) * (-q).ln_1p()),
                    Box::new(move |k| (n - k) / (k + 1.0) * q / (1.0 - q)),
                    Box::new(move |k| vec![k / q - (n - k) / (1.0 - q)]),
                )
            }
            "categorical" => {
                let total: f64 = p.iter().map(|x| x.exp()).sum();
                let probs: Vec<f64> = p.iter().map(|x| x.exp() / total).collect();
                let (at, after, n) = (probs.clone(), probs.clone(), p.len());
                recurrence(
                    0.0,
                    n as f64 - 1.0,
                    Box::new(move |k| at[k as usize].ln()),
                    Box::new(move |k| after.get(k as usize + 1).unwrap_or(&0.0) / after[k as usize]),
                    Box::new(move |k| (0..n).map(|i| f64::from(i == k as usize) - probs[i]).collect()),
                )
            }
            "beta-binomial" => {
                let (n, a, b) = (p[0], p[1], p[2]);
                let ln_beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
                let common = digamma(a + b) - digamma(n + a + b);
                recurrence(
                    0.0,
                    n,
                    Box::new(move |k| choose(n, k) + ln_beta(k + a, n - k + b) - ln_beta(a, b)),
                    Box::new(move |k| (n - k) / (k + 1.0) * (k + a) / (n - k - 1.0 + b)),
                    Box::new(move |k| {
                        vec![digamma(k + a) - digamma(a) + common, digamma(n - k + b) - digamma(b) + common]
                    }),
                )
            }
            "hypergeometric" => {
                let (n, population, good) = (p[0], p[1], p[2]);
                let bad = population - good;
                recurrence(
                    0.0,
                    n,
                    Box::new(move |k| choose(good, k) + choose(bad, n - k) - choose(population, n)),
                    Box::new(move |k| (good - k) / (k + 1.0) * (n - k) / (bad - n + k + 1.0)),
                    Box::new(move |k| {
                        let of_bad = digamma(bad + 1.0) - digamma(bad - n + k + 1.0);
                        vec![
                            of_bad - digamma(population + 1.0) + digamma(population - n + 1.0),
                            digamma(good + 1.0) - digamma(good - k + 1.0) - of_bad,
                        ]
                    }),
                )
            }
            "zero-inflated-poisson" => Kind::ZeroInflated { gate: p[0], rate: p[1] },
            "conway-maxwell-poisson" => {
                let (rate, nu) = (p[0], p[1]);
                // The normaliser and the means of k and log k!, relative to the largest term.
                let term = move |k: f64| k * rate.ln() - nu * ln_gamma(k + 1.0);
                let top = term(rate.powf(1.0 / nu).floor());
                let (mut z, mut mean, mut mean_log_factorial, mut k) = (0.0, 0.0, 0.0, 0.0);
                loop {
                    let t = (term(k) - top).exp();
                    z += t;
                    mean += t * k;
                    mean_log_factorial += t * ln_gamma(k + 1.0);
                    if k > rate.powf(1.0 / nu) && t < 1e-25 {
                        break;
                    }
                    k += 1.0;
                }
                let (mean, mean_log_factorial, log_z) = (mean / z, mean_log_factorial / z, top + z.ln());
                recurrence(
                    0.0,
                    f64::INFINITY,
                    Box::new(move |k| term(k) - log_z),
                    Box::new(move |k| rate / (k + 1.0).powf(nu)),
                    Box::new(move |k| vec![(k - mean) / rate, mean_log_factorial - ln_gamma(k + 1.0)]),
                )
            }
            "skellam" => Kind::Skellam { rate1: p[0], rate2: p[1] },
            "discretized-logistic" => Kind::Logistic { loc: p[0], scale: p[1] },
            "zipf" => {
                let (size, exponent) = (p[0], p[1]);
                let (mut z, mut mean_log) = (0.0, 0.0);
                for k in (1..=size as i64).rev() {
                    let t = (-exponent * (k as f64).ln()).exp();
                    z += t;
                    mean_log += t * (k as f64).ln();
                }
                let mean_log = mean_log / z;
                recurrence(
                    1.0,
                    size,
                    Box::new(move |k| -exponent * k.ln() - z.ln()),
                    Box::new(move |k| (-exponent * (1.0 / k).ln_1p()).exp()),
                    Box::new(move |k| vec![mean_log - k.ln()]),
                )
            }
            "mixture" => {
                let total = p[0].exp() + p[1].exp();
                Kind::Mixture {
                    weights: [p[0].exp() / total, p[1].exp() / total],
                    parts: [Box::new(Plain::new("poisson", &p[2..3])), Box::new(Plain::new("geometric", &p[3..4]))],
                }
            }
            "custom" => {
                let q = p[0];
                recurrence(
                    1.0,
                    f64::INFINITY,
                    Box::new(move |k| k * q.ln() - k.ln() - (-(-q).ln_1p()).ln()),
                    Box::new(move |k| q * k / (k + 1.0)),
                    Box::new(move |k| vec![k / q + 1.0 / ((1.0 - q) * (-q).ln_1p())]),
                )
            }
            _ => panic!("no plain sums for {name}"),
        })
    }

    /// What lies above the atom `hi`.
    pub fn above(&self, hi: i64) -> Side {
        self.side(hi as f64, 1.0)
    }

    /// What lies below the atom `lo`.
    pub fn below(&self, lo: i64) -> Side {
        self.side(lo as f64, -1.0)
    }

    fn side(&self, end: f64, step: f64) -> Side {
        match &self.0 {
            Kind::Recurrence(law) => law.side(end, step),
            &Kind::ZeroInflated { gate, rate } => zero_inflated(gate, rate, end, step),
            &Kind::Skellam { rate1, rate2 } if step > 0.0 => skellam_above(rate1, rate2, end),
            &Kind::Skellam { rate1, rate2 } => {
                // -X is a Skellam with the rates exchanged.
                let mut side = skellam_above(rate2, rate1, -end);
                side.derivatives.swap(0, 1);
                side
            }
            &Kind::Logistic { loc, scale } if step > 0.0 => logistic_above(loc, scale, end),
            &Kind::Logistic { loc, scale } => {
                let mut side = logistic_above(-loc, scale, -end);
                side.derivatives[0] = -side.derivatives[0];
                side
            }
            Kind::Mixture { weights, parts } => {
                let sides = [parts[0].side(end, step), parts[1].side(end, step)];
                let mix = |of: fn(&Side) -> f64| weights[0] * of(&sides[0]) + weights[1] * of(&sides[1]);
                let excess = mix(|side| side.excess);
                let mut derivatives: Vec<f64> = (0..2).map(|i| weights[i] * (sides[i].excess - excess)).collect();
                derivatives.extend((0..2).map(|i| weights[i] * sides[i].derivatives[0]));
                Side { mass: mix(|side| side.mass), excess, derivatives }
            }
        }
    }
}

impl Recurrence {
    fn side(&self, end: f64, step: f64) -> Side {
        let parameters = (self.scores)(self.lowest.max(0.0)).len();
        let inside = |k: f64| k >= self.lowest && k <= self.highest;
        let mut k = end + step;
        if !inside(k) {
            return Side::nothing(parameters);
        }
        let (mut p, mut distance) = (1.0, 1.0);
        let mut sum = Side::nothing(parameters);
        let mut largest = 0.0f64;
        while inside(k) {
            let term = p * distance;
            sum.mass += p;
            sum.excess += term;
            for (derivative, score) in sum.derivatives.iter_mut().zip((self.scores)(k)) {
                *derivative += term * score;
            }
            largest = largest.max(term);
            if term < largest * 1e-22 {
                break;
            }
            p *= if step > 0.0 { (self.ratio)(k) } else { 1.0 / (self.ratio)(k - 1.0) };
            k += step;
            distance += 1.0;
            // A rising sum may leave what float64 holds: start again from its own scale.
            if p > 1e250 {
                return Self::rescaled(self, end, step);
            }
        }
        sum.scaled((self.log_p)(end + step).exp())
    }

    /// The same with every term from the pmf itself.
    fn rescaled(&self, end: f64, step: f64) -> Side {
        let mut sum = Side::nothing((self.scores)(self.lowest.max(0.0)).len());
        let (mut k, mut distance) = (end + step, 1.0);
        let mut largest = 0.0f64;
        while k >= self.lowest && k <= self.highest {
            let p = (self.log_p)(k).exp();
            let term = p * distance;
            sum.mass += p;
            sum.excess += term;
            for (derivative, score) in sum.derivatives.iter_mut().zip((self.scores)(k)) {
                *derivative += term * score;
            }
            largest = largest.max(term);
            if largest > 0.0 && term < largest * 1e-22 {
                break;
            }
            k += step;
            distance += 1.0;
        }
        sum
    }
}

fn zero_inflated(gate: f64, rate: f64, end: f64, step: f64) -> Side {
    let counted = Plain::new("poisson", &[rate]).side(end, step);
    // Below, the gate's zeros lie `end` away.
    let zeros = if step < 0.0 && end > 0.0 { end } else { 0.0 };
    Side {
        mass: (1.0 - gate) * counted.mass + if zeros > 0.0 { gate } else { 0.0 },
        excess: (1.0 - gate) * counted.excess + gate * zeros,
        derivatives: vec![zeros - counted.excess, (1.0 - gate) * counted.derivatives[0]],
    }
}

/// Poisson probabilities from `first` on, as far as they matter.
fn poisson(rate: f64, first: f64, last: f64) -> Vec<f64> {
    let mut p = Vec::new();
    let mut k = first;
    while k <= last {
        p.push((k * rate.ln() - rate - ln_gamma(k + 1.0)).exp());
        k += 1.0;
    }
    p
}

/// `P(X1 - X2 > end)` and its excess, by the law of `X2` and the tail of `X1`. One more event adds one to the excess exactly when
/// the count is at or beyond the end, which gives the derivatives.
fn skellam_above(rate1: f64, rate2: f64, end: f64) -> Side {
    let reach = |rate: f64| 40.0 + 30.0 * rate.sqrt();
    let first2 = (rate2 - reach(rate2)).max(0.0).floor();
    let p2 = poisson(rate2, first2, rate2 + reach(rate2));
    // The tail of X1 above `end + j` for every j of X2.
    let first1 = end + first2;
    let last1 = (end + first2 + p2.len() as f64).max(rate1) + reach(rate1) + 40.0;
    let p1 = poisson(rate1, first1.max(0.0), last1);
    let at = |k: f64| if k < 0.0 { 0.0 } else { p1.get((k - first1.max(0.0)) as usize).copied().unwrap_or(0.0) };
    let (mut mass, mut excess) = (0.0, 0.0);
    let (mut at_or_beyond, mut k) = (0.0, last1.floor());
    let mut tails = std::collections::VecDeque::new();
    let (mut tail, mut tail_excess) = (0.0, 0.0);
    while k >= first1 {
        // Tails beyond k: P(X1 > k), E(X1 - k)+, P(X1 >= k).
        tails.push_front((tail, tail_excess, tail + at(k)));
        tail += at(k);
        tail_excess += tail;
        k -= 1.0;
    }
    for (p, (above, beyond, with)) in p2.iter().zip(tails) {
        mass += p * above;
        excess += p * beyond;
        at_or_beyond += p * with;
    }
    Side { mass, excess, derivatives: vec![at_or_beyond, -mass] }
}

/// Sums of `P(X >= j)` and its derivatives over `j > end`.
fn logistic_above(loc: f64, scale: f64, end: f64) -> Side {
    let sigmoid = |x: f64| if x > 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) };
    let edge = |j: f64| (j - 0.5 - loc) / scale;
    let mut side = Side::nothing(2);
    side.mass = sigmoid(-edge(end + 1.0));
    let mut j = end + 1.0;
    loop {
        let x = edge(j);
        let (tail, slope) = (sigmoid(-x), sigmoid(x) * sigmoid(-x) / scale);
        side.excess += tail;
        side.derivatives[0] += slope;
        side.derivatives[1] += slope * x;
        if x > 0.0 && tail <= side.excess * 1e-20 {
            return side;
        }
        j += 1.0;
    }
}
