//! Some latents side by side, one in each lane: their windows, and the log weights and scores of the atoms in them.

use crate::math::LOG_ZERO_FLOAT;
use crate::math::lanes::{LANES, Lanes, each};
use crate::random::counter::block_of;

/// Rows start at a multiple of this, where a block of random words starts in every kind.
const ALIGNED: i64 = 4;

/// Rows that are walked, and terms of tails that are summed, before lanes are looked at again.
pub(crate) const STRIDE: usize = 4;

/// The laws of a few latents in their windows. Row `r` of lane `i` is the atom `origins[i] + r`.
#[derive(Debug)]
pub struct LaneBlock {
    /// The latents' numbers in the batch; lanes that are not in use repeat the first.
    pub(crate) latents: [usize; LANES],
    /// How many lanes are in use.
    pub(crate) used: usize,
    /// First and last atom of each lane.
    pub(crate) windows: [(i64, i64); LANES],
    pub(crate) origins: [i64; LANES],
    /// The same, and the last atom of each lane, as numbers.
    pub(crate) starts: Lanes<f64>,
    pub(crate) ends: Lanes<f64>,
    /// Rows of the longest lane.
    pub(crate) rows: usize,
    pub(crate) log_weights: Vec<Lanes<f64>>,
    /// Probabilities, for those who draw from them.
    pub(crate) weights: Vec<Lanes<f64>>,
    /// Of each of up to two parameters, where they are kept.
    pub(crate) scores: [Vec<Lanes<f64>>; 2],
    /// Whether all scores are kept, or only those that are not lines.
    pub(crate) keeps_lines: bool,
    /// By how much the scores of each parameter rise from atom to atom inside the window, where they are lines.
    pub(crate) lines: [Option<Lanes<f64>>; 2],
    /// By how much merged tails bend the scores of each parameter at the first and the last atom.
    pub(crate) tail_corrections: [[Lanes<f64>; 2]; 2],
    /// Whether the scores of a lane's first and last atom are those of its tails already.
    pub(crate) is_replaced: [Lanes<bool>; 2],
    /// Whether all lanes have the same window.
    pub(crate) is_shared: bool,
    pub(crate) log_prior: Vec<Lanes<f64>>,
}

impl LaneBlock {
    /// Room for nothing yet.
    pub(crate) fn new(keeps_lines: bool) -> Self {
        Self {
            latents: [0; LANES],
            used: 0,
            windows: [(0, 0); LANES],
            origins: [0; LANES],
            starts: [0.0; LANES],
            ends: [0.0; LANES],
            rows: 0,
            log_weights: Vec::new(),
            weights: Vec::new(),
            scores: [Vec::new(), Vec::new()],
            keeps_lines,
            lines: [None; 2],
            tail_corrections: [[[0.0; LANES]; 2]; 2],
            is_replaced: [[false; LANES]; 2],
            is_shared: true,
            log_prior: Vec::new(),
        }
    }

    /// Puts latents in the lanes, at least one and not more than there are lanes.
    pub(crate) fn place(&mut self, latents: &[usize]) {
        self.used = latents.len().min(LANES);
        self.latents = each(|i| latents[if i < self.used { i } else { 0 }]);
    }

    /// Whether the latents follow one another, as they most often do.
    #[inline(always)]
    pub(crate) fn follow(&self) -> bool {
        self.latents == each(|i| self.latents[0] + i)
    }

    /// Gives the latents their windows.
    pub(crate) fn open(&mut self, window: impl Fn(usize) -> (i64, i64)) {
        self.windows = each(|i| window(self.latents[i]));
        self.is_shared = self.windows.iter().all(|window| *window == self.windows[0]);
        self.origins = each(|i| self.windows[i].0 - self.windows[i].0.rem_euclid(ALIGNED));
        self.starts = each(|i| self.origins[i] as f64);
        self.ends = each(|i| self.windows[i].1 as f64);
        self.rows = (0..LANES).map(|i| self.last(i) + 1).max().unwrap_or(0);
        // Strides may walk past the last row.
        let rows = self.rows.next_multiple_of(STRIDE);
        self.log_weights.resize(rows, [0.0; LANES]);
        self.weights.resize(self.rows, [0.0; LANES]);
        self.log_prior.resize(rows, [0.0; LANES]);
        for scores in &mut self.scores {
            scores.resize(rows, [0.0; LANES]);
        }
    }

    /// The number of the block of random words, which serve so many atoms, that each lane starts with.
    #[inline(always)]
    pub(crate) fn blocks(&self, atoms: usize) -> Lanes<u32> {
        each(|i| block_of(self.origins[i], atoms as i64))
    }

    /// The row of a lane's first atom.
    pub(crate) fn first(&self, lane: usize) -> usize {
        (self.windows[lane].0 - self.origins[lane]) as usize
    }

    /// The row of a lane's last atom.
    pub(crate) fn last(&self, lane: usize) -> usize {
        (self.windows[lane].1 - self.origins[lane]) as usize
    }

    /// Takes what is outside the windows out of reach.
    pub(crate) fn clear_outside(&mut self) {
        for lane in 0..LANES {
            for row in (0..self.first(lane)).chain(self.last(lane) + 1..self.rows) {
                self.log_weights[row][lane] = LOG_ZERO_FLOAT;
                self.log_prior[row][lane] = LOG_ZERO_FLOAT;
                self.scores[0][row][lane] = 0.0;
                self.scores[1][row][lane] = 0.0;
            }
        }
    }
}
