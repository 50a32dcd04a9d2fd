//! What lies beyond a window, merged into its ends.

use super::lane_block::{LaneBlock, STRIDE};
use super::recurrence::{Atom, PmfRecurrence, Step, common_steps, first_steps, ln, score_step};
use crate::math::lanes::{LANES, Lanes, each};

/// How many terms a tail may have beyond the window before lanes go their own ways.
const LONG_TAIL: usize = 10_000;

/// How many terms of a lane's tail are summed at all: half a millisecond. Laws with longer tails are left to others,
/// who integrate.
const LONGEST_TAIL: usize = 1 << 16;

/// The logarithm of the smallest tail that is taken from what the window leaves, whose last digits it keeps; smaller
/// ones are summed to their end.
const LEAST_COMPLEMENT: f64 = -4.0;

/// A tail of each lane, relative to the atom that it starts from; `left` is the last term, zero where the tail is
/// complete.
pub(super) struct Sums<const PARAMETERS: usize> {
    left: Lanes<f64>,
    pub sum: Lanes<f64>,
    scores: [Lanes<f64>; PARAMETERS],
    weighted: [Lanes<f64>; PARAMETERS],
}

impl<const PARAMETERS: usize> Sums<PARAMETERS> {
    #[inline(always)]
    fn start(open: Lanes<bool>) -> Self {
        let zeros = [[0.0; LANES]; PARAMETERS];
        Self { left: each(|i| f64::from(open[i])), sum: [1.0; LANES], scores: zeros, weighted: zeros }
    }

    #[inline(always)]
    fn is_complete(&self) -> bool {
        self.left.iter().all(|left| *left == 0.0)
    }

    /// The next terms of each lane, by the ratio of each to the one before and the change of the scores. Once what
    /// follows is negligible, terms are zero, so that how long other lanes go on changes nothing.
    #[inline(always)]
    fn add(
        &mut self,
        precision: f64,
        ratio: impl Fn(usize, usize) -> f64,
        score_step: impl Fn(usize, usize, usize) -> f64,
    ) {
        let (mut left, mut sum, mut last) = (self.left, self.sum, [0.0; LANES]);
        for j in 0..STRIDE {
            last = each(|i| ratio(i, j));
            left = each(|i| left[i] * last[i]);
            sum = each(|i| sum[i] + left[i]);
            for p in 0..PARAMETERS {
                let scores = each(|i| self.scores[p][i] + score_step(p, i, j));
                self.weighted[p] = each(|i| self.weighted[p][i] + left[i] * scores[i]);
                self.scores[p] = scores;
            }
        }
        self.sum = sum;
        // What follows is at most a geometric series of this ratio, or of one that rises to a limit not far above.
        self.left = each(|i| if left[i] * last[i] > precision * sum[i] * (1.0 - last[i]) { left[i] } else { 0.0 });
    }

    /// The tail of each lane, relative to the atom that it starts from: its log weight and scores, and whether it is
    /// complete.
    #[inline(always)]
    pub fn finish(&self) -> Tail<PARAMETERS> {
        let mut tail_corrections = [[0.0; LANES]; PARAMETERS];
        for (p, tail_corrections) in tail_corrections.iter_mut().enumerate() {
            *tail_corrections = each(|i| self.weighted[p][i] / self.sum[i]);
        }
        Tail { log_weights: each(|i| ln(self.sum[i])), tail_corrections, complete: each(|i| self.left[i] == 0.0) }
    }
}

pub(super) struct Tail<const PARAMETERS: usize> {
    pub log_weights: Lanes<f64>,
    pub tail_corrections: [Lanes<f64>; PARAMETERS],
    pub complete: Lanes<bool>,
}

impl<const PARAMETERS: usize> Tail<PARAMETERS> {
    /// Merges the tail of a lane into the row that it starts from, at the first or the last end.
    #[inline(always)]
    fn merge_into(&self, lanes: &mut LaneBlock, row: usize, end: usize, lane: usize) {
        lanes.log_weights[row][lane] += self.log_weights[lane];
        for (ends, tail_corrections) in lanes.tail_corrections.iter_mut().zip(&self.tail_corrections) {
            ends[end][lane] = tail_corrections[lane];
        }
    }
}

/// What lies at and below each lane's first atom, by series where most of the mass is above.
#[inline(always)]
pub(super) fn below<L: PmfRecurrence, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lanes: &LaneBlock,
    precision: f64,
) -> Sums<PARAMETERS> {
    let mut k = each(|i| lanes.windows[i].0 as f64);
    let mut below = Sums::start(each(|i| k[i] > 0.0 && k[i] <= laws[i].mean()));
    for _ in (0..LONGEST_TAIL).step_by(STRIDE) {
        if below.is_complete() {
            break;
        }
        // At zero there is no further step; the term is made zero for good.
        let inside = |i: usize, j: usize| k[i] > j as f64;
        let step = |i: usize, j: usize| Step::from(if inside(i, j) { k[i] - 1.0 - j as f64 } else { 0.0 });
        below.add(
            precision,
            |i, j| if inside(i, j) { 1.0 / laws[i].ratio(step(i, j)) } else { 0.0 },
            |p, i, j| if inside(i, j) { -laws[i].score_steps(step(i, j))[p] } else { 0.0 },
        );
        k = each(|i| if k[i] > STRIDE as f64 { k[i] - STRIDE as f64 } else { 0.0 });
    }
    below
}

/// What lies at and above each lane's last atom, by series where most of the mass is below.
#[inline(always)]
pub(super) fn above<L: PmfRecurrence, const PARAMETERS: usize>(
    laws: &Lanes<L>,
    lines: &[Lanes<f64>; PARAMETERS],
    lanes: &LaneBlock,
    shared: bool,
    precision: f64,
) -> Sums<PARAMETERS> {
    let opens = |i: usize| laws[i].highest() != Some(lanes.windows[i].1) && lanes.ends[i] >= laws[i].mean();
    let mut above = Sums::start(each(opens));
    let first_steps = first_steps();
    for term in (0..LONG_TAIL).step_by(STRIDE) {
        if above.is_complete() {
            break;
        }
        if shared {
            let steps = common_steps(first_steps, lanes.windows[0].1 + term as i64);
            above.add(precision, |i, j| laws[i].ratio(steps[j]), |p, i, j| score_step(laws, lines, p, i, steps[j]));
        } else {
            let step = |i: usize, j: usize| Step::from(lanes.ends[i] + (term + j) as f64);
            above.add(precision, |i, j| laws[i].ratio(step(i, j)), |p, i, j| score_step(laws, lines, p, i, step(i, j)));
        }
    }
    above
}

/// Merges a lane's tails into its ends: series where they were summed, else what the rest of the law leaves. `None`
/// where a tail has too many terms to be summed.
#[inline(always)]
pub(super) fn merge<L: PmfRecurrence, const PARAMETERS: usize>(
    law: &L,
    lanes: &mut LaneBlock,
    lane: usize,
    below: &Tail<PARAMETERS>,
    above: &Tail<PARAMETERS>,
) -> Option<()> {
    let (lo, hi) = lanes.windows[lane];
    let (first, last) = (lanes.first(lane), lanes.last(lane));
    if lo == hi {
        lanes.log_weights[first][lane] = 0.0;
        // There is no gradient where there is no choice.
        let scores = law.atom(lo as f64).scores;
        for (ends, score) in lanes.tail_corrections.iter_mut().zip(scores) {
            ends[0][lane] = -score;
        }
        return Some(());
    }
    let mean = law.mean();
    // Whether most of the mass is below the window: then it is what the window and the tail above it leave.
    let most_is_below = lo > 0 && lo as f64 > mean;
    if lo > 0 && !most_is_below {
        if !below.complete[lane] {
            return None;
        }
        below.merge_into(lanes, first, 0, lane);
    }
    if law.highest() != Some(hi) {
        if let Some(tail) = law.upper_tail(hi as f64) {
            lanes.put(law, 1, lane, tail);
        } else if above.complete[lane] && hi as f64 >= mean {
            above.merge_into(lanes, last, 1, lane);
        } else if most_is_below {
            lanes.put(law, 1, lane, long_tail(law, hi)?);
        } else {
            let mut rest = complement(law, lanes, lane, first..last);
            if hi as f64 >= mean && rest.log_weight < LEAST_COMPLEMENT {
                rest = long_tail(law, hi)?;
            }
            lanes.put(law, 1, lane, rest);
        }
    }
    if most_is_below {
        let rest = complement(law, lanes, lane, first + 1..last + 1);
        lanes.put(law, 0, lane, rest);
    }
    Some(())
}

/// What lies at and above an atom beyond the mean, as an atom.
fn long_tail(law: &impl PmfRecurrence, from: i64) -> Option<Atom> {
    let Atom { log_weight, scores } = law.atom(from as f64);
    let (mut term, mut sum, mut change, mut weighted) = (1.0, 1.0, [0.0; 2], [0.0; 2]);
    for term_number in 0..LONGEST_TAIL {
        let step = Step::from(from as f64 + term_number as f64);
        let ratio = law.ratio(step);
        term *= ratio;
        sum += term;
        let steps = law.score_steps(step);
        for i in 0..2 {
            change[i] += steps[i];
            weighted[i] += term * change[i];
        }
        // What follows is at most a geometric series of the largest ratio to come. NaN ends it too.
        let largest = ratio.max(law.ratio_limit());
        let goes_on = term * largest > f64::EPSILON / 4.0 * sum * (1.0 - largest);
        if !goes_on {
            return Some(Atom {
                log_weight: log_weight + ln(sum),
                scores: std::array::from_fn(|i| scores[i] + weighted[i] / sum),
            });
        }
    }
    None
}

/// What these rows leave of the mass, as an atom.
fn complement(law: &impl PmfRecurrence, lanes: &LaneBlock, lane: usize, rows: std::ops::Range<usize>) -> Atom {
    let (mut body, mut weighted) = (0.0, [0.0; 2]);
    let k = |row: usize| (lanes.origins[lane] + row as i64) as f64;
    let mut scores = law.atom(k(rows.start)).scores;
    for row in rows {
        let p = f64::exp(lanes.log_weights[row][lane]);
        let steps = law.score_steps(Step::from(k(row)));
        body += p;
        for i in 0..2 {
            let ends = &lanes.tail_corrections[i];
            let first = if row == lanes.first(lane) { ends[0][lane] } else { 0.0 };
            let last = if row == lanes.last(lane) { ends[1][lane] } else { 0.0 };
            weighted[i] += p * (scores[i] + first + last);
            scores[i] += steps[i];
        }
    }
    let rest = (1.0 - body).max(f64::MIN_POSITIVE);
    Atom { log_weight: (-body).max(-1.0 + f64::EPSILON / 2.0).ln_1p(), scores: weighted.map(|sum| -sum / rest) }
}

impl LaneBlock {
    /// Puts an atom at the first or the last end of a lane.
    fn put(&mut self, law: &impl PmfRecurrence, end: usize, lane: usize, atom: Atom) {
        let row = if end == 0 { self.first(lane) } else { self.last(lane) };
        let scores = law.atom((self.origins[lane] + row as i64) as f64).scores;
        self.log_weights[row][lane] = atom.log_weight;
        for p in 0..2 {
            self.tail_corrections[p][end][lane] = atom.scores[p] - scores[p];
            // The sum of both may be a small difference of large numbers.
            self.scores[p][row][lane] = atom.scores[p];
        }
        self.is_replaced[end][lane] = true;
    }
}
