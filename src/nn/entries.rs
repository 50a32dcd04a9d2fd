//! Entries of bags, in the order of the rows of a table that they stand for.

use crate::{Error, Result};
use std::sync::Arc;
use tch::Tensor;

/// `N` entries, each a row of a table in a bag, and the different rows among them.
#[derive(Debug)]
pub struct Entries {
    /// The row of each entry, int64 `[N]`.
    pub rows: Tensor,
    /// The bag of each entry, int64 `[N]`, ascending from 0.
    pub bags: Tensor,
    /// Where each bag starts, int64 `[B]`.
    pub offsets: Tensor,
    /// The different rows, int64 `[U]`, ascending.
    pub indices: Tensor,
    /// The place of each entry's row among the different ones, int64 `[N]`.
    pub places: Tensor,
    /// The different rows once more, in the host's memory.
    pub(crate) distinct: Arc<[i64]>,
    /// The entries in the order of their rows, those of one row in their own order.
    order: Arc<[u32]>,
    /// Where those of each row start, and the end, `U + 1` numbers.
    starts: Arc<[usize]>,
}

impl Entries {
    /// In time that follows the entries, whatever the table.
    ///
    /// # Errors
    /// When a row or the number of entries does not fit into 32 bits.
    pub fn new(rows: &Tensor, bags: &Tensor, offsets: &Tensor) -> Result<Self> {
        let list = Vec::<i64>::try_from(rows)?;
        let narrow =
            |number: i64| u32::try_from(number).map_err(|_| Error::parameter("row of a table", number, "in 0 .. 2^32"));
        narrow(list.len() as i64)?;
        let keys = list.iter().enumerate().map(|(entry, &row)| Ok(u64::from(narrow(row)?) << 32 | entry as u64));
        let mut keys = keys.collect::<Result<Vec<_>>>()?;
        keys.sort_unstable();
        let (mut distinct, mut starts, mut places) = (Vec::<i64>::new(), Vec::new(), vec![0i64; list.len()]);
        for (place, key) in keys.iter().enumerate() {
            let row = (key >> 32) as i64;
            if distinct.last() != Some(&row) {
                distinct.push(row);
                starts.push(place);
            }
            places[*key as u32 as usize] = distinct.len() as i64 - 1;
        }
        starts.push(keys.len());
        let device = rows.device();
        let [indices, places] = [&distinct, &places].map(|list| Tensor::from_slice(list).to_device(device));
        let [rows, bags, offsets] = [rows, bags, offsets].map(Tensor::shallow_clone);
        let order = keys.iter().map(|&key| key as u32).collect();
        let (distinct, starts) = (distinct.into(), starts.into());
        Ok(Self { rows, bags, offsets, indices, places, distinct, order, starts })
    }

    /// The bag of each entry and its weight, of `[N]`, one row after the other.
    pub(super) fn by_row(&self, weights: &Tensor) -> Result<Vec<(usize, f32)>> {
        let (bags, weights) = (Vec::<i64>::try_from(&self.bags)?, Vec::<f32>::try_from(weights)?);
        let term = |&entry: &u32| Some((*bags.get(entry as usize)? as usize, *weights.get(entry as usize)?));
        Ok(self.order.iter().filter_map(term).collect())
    }

    /// Where the entries of each row start in that order, and the end, `U + 1` numbers.
    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The entries of the different row at `place`.
    pub(crate) fn of(&self, place: usize) -> &[u32] {
        &self.order[self.starts[place]..self.starts[place + 1]]
    }

    /// The same entries once more.
    pub fn shallow_clone(&self) -> Self {
        let [rows, bags, offsets] = [&self.rows, &self.bags, &self.offsets].map(Tensor::shallow_clone);
        let [indices, places] = [&self.indices, &self.places].map(Tensor::shallow_clone);
        let (distinct, order, starts) = (self.distinct.clone(), self.order.clone(), self.starts.clone());
        Self { rows, bags, offsets, indices, places, distinct, order, starts }
    }
}
