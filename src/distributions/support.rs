//! The range of the integers with mass.

/// The range of the integers with mass, infinite on a side without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Support {
    /// The smallest atom; `None` if there is none.
    pub lowest: Option<i64>,
    /// The largest atom; `None` if there is none.
    pub highest: Option<i64>,
}

impl Support {
    /// All integers.
    pub const INTEGERS: Self = Self { lowest: None, highest: None };

    /// Makes the support `lowest, lowest + 1, ...`.
    pub const fn from(lowest: i64) -> Self {
        Self { lowest: Some(lowest), highest: None }
    }

    /// Makes the support `lowest ..= highest`.
    pub const fn between(lowest: i64, highest: i64) -> Self {
        Self { lowest: Some(lowest), highest: Some(highest) }
    }

    /// Returns whether atoms lie below `lo`, and whether atoms lie above `hi`.
    pub(crate) fn beyond_window(self, lo: i64, hi: i64) -> (bool, bool) {
        (self.lowest.is_none_or(|lowest| lowest < lo), self.highest.is_none_or(|highest| hi < highest))
    }

    /// Returns the atom nearest to `k`.
    pub(crate) fn nearest(self, k: i64) -> i64 {
        let k = self.lowest.map_or(k, |lowest| k.max(lowest));
        self.highest.map_or(k, |highest| k.min(highest))
    }
}

impl std::fmt::Display for Support {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = |end: Option<i64>, sign: &str| end.map_or(format!("{sign}infinity"), |end| end.to_string());
        write!(f, "from {} to {}", end(self.lowest, "-"), end(self.highest, ""))
    }
}
