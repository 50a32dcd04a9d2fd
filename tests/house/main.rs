//! The house: its floors, the length of what stands on them, and who names flags.

mod floors;
mod lengths;
