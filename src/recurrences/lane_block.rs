//! A block of latents side by side, one per lane: their windows, and the log weights and scores of the atoms in them.

use crate::math::LOG_ZERO_FLOAT;
use crate::math::lanes::{LANES, Lanes, each};
use crate::random::counter::block_of;

/// Rows start at a multiple of this, at which a block of random words starts for both float32 and float64.
const ALIGNED: i64 = 4;

/// The number of rows that are filled, or terms of tails that are summed, between two checks of whether all lanes are
/// done.
pub(crate) const STRIDE: usize = 4;

/// The laws of up to 16 latents in their windows. Row `r` of lane `i` is the atom `origins[i] + r`.
#[derive(Debug)]
pub struct LaneBlock {
    /// The indices of the latents in the batch; unused lanes repeat the first.
    pub(crate) latents: [usize; LANES],
    /// The number of lanes in use.
    pub(crate) used: usize,
    /// The first and last atom of each lane.
    pub(crate) windows: [(i64, i64); LANES],
    /// The atom of row 0 of each lane.
    pub(crate) origins: [i64; LANES],
    /// `origins` as `f64`.
    pub(crate) starts: Lanes<f64>,
    /// The last atom of each lane, as `f64`.
    pub(crate) last_atoms: Lanes<f64>,
    /// The number of rows of the longest lane.
    pub(crate) rows: usize,
    /// The log weights of the atoms, by row.
    pub(crate) log_weights: Vec<Lanes<f64>>,
    /// The probabilities of the atoms, by row, for draws by the distribution function.
    pub(crate) weights: Vec<Lanes<f64>>,
    /// The scores in up to two parameters, by row, for those that are kept.
    pub(crate) scores: [Vec<Lanes<f64>>; 2],
    /// Whether linear scores are kept too, or only the others.
    pub(crate) keeps_linear_scores: bool,
    /// For each parameter with linear scores, their change from atom to atom inside the window.
    pub(crate) lines: [Option<Lanes<f64>>; 2],
    /// For each parameter, by how much merging the tails changes the score of the first and of the last atom.
    pub(crate) tail_corrections: [[Lanes<f64>; 2]; 2],
    /// Whether the score of the first and of the last atom of a lane already includes its tail.
    pub(crate) is_replaced: [Lanes<bool>; 2],
    /// Whether all lanes have the same window.
    pub(crate) is_shared: bool,
    /// The log weights of the prior, by row.
    pub(crate) log_prior: Vec<Lanes<f64>>,
}

impl LaneBlock {
    /// Makes an empty block.
    pub(crate) fn new(keeps_linear_scores: bool) -> Self {
        Self {
            latents: [0; LANES],
            used: 0,
            windows: [(0, 0); LANES],
            origins: [0; LANES],
            starts: [0.0; LANES],
            last_atoms: [0.0; LANES],
            rows: 0,
            log_weights: Vec::new(),
            weights: Vec::new(),
            scores: [Vec::new(), Vec::new()],
            keeps_linear_scores,
            lines: [None; 2],
            tail_corrections: [[[0.0; LANES]; 2]; 2],
            is_replaced: [[false; LANES]; 2],
            is_shared: true,
            log_prior: Vec::new(),
        }
    }

    /// Assigns latents to the lanes: at least one, and at most as many as there are lanes.
    pub(crate) fn place(&mut self, latents: &[usize]) {
        self.used = latents.len().min(LANES);
        self.latents = each(|i| latents[if i < self.used { i } else { 0 }]);
    }

    /// Returns whether the latents are consecutive, the most common case.
    #[inline(always)]
    pub(crate) fn follow(&self) -> bool {
        self.latents == each(|i| self.latents[0] + i)
    }

    /// Sets the windows of the latents and sizes the rows.
    pub(crate) fn open(&mut self, window: impl Fn(usize) -> (i64, i64)) {
        self.windows = each(|i| window(self.latents[i]));
        self.is_shared = self.windows.iter().all(|window| *window == self.windows[0]);
        self.origins = each(|i| self.windows[i].0 - self.windows[i].0.rem_euclid(ALIGNED));
        self.starts = each(|i| self.origins[i] as f64);
        self.last_atoms = each(|i| self.windows[i].1 as f64);
        self.rows = (0..LANES).map(|i| self.last(i) + 1).max().unwrap_or(0);
        // A stride may fill rows beyond the last.
        let rows = self.rows.next_multiple_of(STRIDE);
        self.log_weights.resize(rows, [0.0; LANES]);
        self.weights.resize(self.rows, [0.0; LANES]);
        self.log_prior.resize(rows, [0.0; LANES]);
        for scores in &mut self.scores {
            scores.resize(rows, [0.0; LANES]);
        }
    }

    /// Returns the number of the block of random words at which each lane starts, with `atoms` numbers per block.
    #[inline(always)]
    pub(crate) fn blocks(&self, atoms: usize) -> Lanes<u32> {
        each(|i| block_of(self.origins[i], atoms as i64))
    }

    /// Returns the row of a lane's first atom.
    pub(crate) fn first(&self, lane: usize) -> usize {
        (self.windows[lane].0 - self.origins[lane]) as usize
    }

    /// Returns the row of a lane's last atom.
    pub(crate) fn last(&self, lane: usize) -> usize {
        (self.windows[lane].1 - self.origins[lane]) as usize
    }

    /// Gives the rows outside each lane's window a mass of zero.
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
