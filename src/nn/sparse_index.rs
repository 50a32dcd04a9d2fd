//! Entries of bags, sorted by the table rows that they refer to.
//!
//! Shapes: `N` entries in `B` bags, `U` distinct rows among them.

use crate::error::{Error, Result};
use std::sync::Arc;
use tch::Tensor;

/// `N` entries, each a row of a table in a bag, and the distinct rows among them.
#[derive(Debug)]
pub struct SparseIndex {
    /// The row of each entry, int64 `[N]`.
    pub rows: Tensor,
    /// The bag of each entry, int64 `[N]`, ascending from 0.
    pub bags: Tensor,
    /// The index of the first entry of each bag, int64 `[B]`.
    pub offsets: Tensor,
    /// The distinct rows, int64 `[U]`, ascending.
    pub indices: Tensor,
    /// The index of each entry's row among the distinct ones, int64 `[N]`.
    pub places: Tensor,
    /// The distinct rows in the host's memory.
    pub(crate) distinct: Arc<[i64]>,
    /// The entries sorted by row; entries of the same row stay in order.
    order: Arc<[u32]>,
    /// The index in `order` of each distinct row's first entry, and the end: `U + 1` numbers.
    starts: Arc<[usize]>,
}

impl SparseIndex {
    /// Makes an index from the row and the bag of each entry `[N]` and the first entry of each bag `[B]`. The time
    /// depends on the entries and not on the table.
    ///
    /// # Errors
    /// Fails if a row or the number of entries does not fit into 32 bits.
    pub fn new(rows: &Tensor, bags: &Tensor, offsets: &Tensor) -> Result<Self> {
        let narrow = |number: i64| {
            u32::try_from(number).map_err(|_| Error::parameter("row or entry of a table", number, "in 0 .. 2^32"))
        };
        let list = Vec::<i64>::try_from(rows)?.into_iter().map(narrow).collect::<Result<Vec<_>>>()?;
        narrow(list.len() as i64)?;
        let order = in_order(&list);
        let (mut distinct, mut starts, mut places) = (Vec::<i64>::new(), Vec::new(), vec![0i64; list.len()]);
        for (place, &entry) in order.iter().enumerate() {
            let row = i64::from(list[entry as usize]);
            if distinct.last() != Some(&row) {
                distinct.push(row);
                starts.push(place);
            }
            places[entry as usize] = distinct.len() as i64 - 1;
        }
        starts.push(order.len());
        let lists = Lists { distinct, places, order, starts };
        Ok(lists.entries([rows, bags, offsets].map(Tensor::shallow_clone)))
    }

    /// Returns the entries of the distinct rows whose flag in `kept` is true; also returns their indices among all
    /// entries, int64 `[M]`.
    ///
    /// # Errors
    /// Fails if there is not one flag per distinct row.
    pub(crate) fn entries_of_rows(&self, kept: &[bool]) -> Result<(Self, Tensor)> {
        if kept.len() != self.distinct.len() {
            return Err(Error::parameter(
                "number of flags of rows",
                kept.len(),
                format!("{}: one per distinct row", self.distinct.len()),
            ));
        }
        let kept_rows: Vec<usize> = (0..kept.len()).filter(|&place| kept[place]).collect();
        // For each kept entry, the index of its row among the kept rows.
        let mut marks = vec![None; self.order.len()];
        for (place, &old) in kept_rows.iter().enumerate() {
            self.entries_of(old).iter().for_each(|&entry| marks[entry as usize] = Some(place as i64));
        }
        let (mut numbers, mut places) = (Vec::new(), Vec::new());
        let mut renumbered = vec![0u32; marks.len()];
        for (entry, place) in marks.iter().enumerate() {
            if let &Some(place) = place {
                renumbered[entry] = numbers.len() as u32;
                numbers.push(entry as i64);
                places.push(place);
            }
        }
        let (mut order, mut starts) = (Vec::with_capacity(numbers.len()), vec![0]);
        for &old in &kept_rows {
            order.extend(self.entries_of(old).iter().map(|&entry| renumbered[entry as usize]));
            starts.push(order.len());
        }
        let before = |&offset: &i64| numbers.partition_point(|&number| number < offset) as i64;
        let offsets: Vec<i64> = Vec::<i64>::try_from(&self.offsets)?.iter().map(before).collect();
        let [offsets, numbers] = [offsets, numbers].map(|list| Tensor::from_slice(&list).to_device(self.rows.device()));
        let [rows, bags] = [&self.rows, &self.bags].map(|entries| entries.f_index_select(0, &numbers));
        let distinct = kept_rows.into_iter().map(|place| self.distinct[place]).collect();
        Ok((Lists { distinct, places, order, starts }.entries([rows?, bags?, offsets]), numbers))
    }

    /// Returns these entries and one more bag, with one entry for each distinct row and for each of `others`: ascending
    /// rows that are not among the distinct ones.
    ///
    /// # Errors
    /// Fails if libtorch reports an error.
    pub(crate) fn with_bag_of_all(&self, others: &[i64]) -> Result<Self> {
        let count = self.order.len();
        let (mut distinct, mut order, mut starts) = (Vec::<i64>::new(), Vec::<u32>::new(), vec![0]);
        let mut others = others.iter().copied().peekable();
        let mut push = |row: i64, entries: &[u32]| {
            order.extend_from_slice(entries);
            order.push((count + distinct.len()) as u32);
            starts.push(order.len());
            distinct.push(row);
        };
        for (place, &row) in self.distinct.iter().enumerate() {
            while let Some(other) = others.next_if(|&other| other < row) {
                push(other, &[]);
            }
            push(row, self.entries_of(place));
        }
        others.for_each(|other| push(other, &[]));
        let mut places = vec![0i64; order.len()];
        for place in 0..distinct.len() {
            order[starts[place]..starts[place + 1]].iter().for_each(|&entry| places[entry as usize] = place as i64);
        }
        let device = self.rows.device();
        let all = Tensor::from_slice(&distinct).to_device(device);
        let bag = all.full_like(self.offsets.size()[0]);
        let end = Tensor::from_slice(&[count as i64]).to_device(device);
        let pairs = [[&self.rows, &all], [&self.bags, &bag], [&self.offsets, &end]];
        let [rows, bags, offsets] = pairs.map(|pair| Tensor::f_cat(&pair, 0));
        Ok(Lists { distinct, places, order, starts }.entries([rows?, bags?, offsets?]))
    }

    /// Returns the bag and the weight of each entry, sorted by row; `weights` is `[N]`.
    pub(super) fn by_row(&self, weights: &Tensor) -> Result<Vec<(usize, f32)>> {
        let (bags, weights) = (Vec::<i64>::try_from(&self.bags)?, Vec::<f32>::try_from(weights)?);
        let term = |&entry: &u32| Some((*bags.get(entry as usize)? as usize, *weights.get(entry as usize)?));
        Ok(self.order.iter().filter_map(term).collect())
    }

    /// Returns the index of each distinct row's first entry in the order of [`by_row`](Self::by_row), and the end:
    /// `U + 1` numbers.
    pub(super) fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Returns the entries of the distinct row at index `place`.
    pub(crate) fn entries_of(&self, place: usize) -> &[u32] {
        &self.order[self.starts[place]..self.starts[place + 1]]
    }

    /// Returns an index that shares memory with this one.
    pub fn shallow_clone(&self) -> Self {
        let [rows, bags, offsets] = [&self.rows, &self.bags, &self.offsets].map(Tensor::shallow_clone);
        let [indices, places] = [&self.indices, &self.places].map(Tensor::shallow_clone);
        let (distinct, order, starts) = (self.distinct.clone(), self.order.clone(), self.starts.clone());
        Self { rows, bags, offsets, indices, places, distinct, order, starts }
    }
}

/// The parts of an index that are computed on the host.
struct Lists {
    distinct: Vec<i64>,
    places: Vec<i64>,
    order: Vec<u32>,
    starts: Vec<usize>,
}

impl Lists {
    /// Makes an index from the entries' rows, bags and offsets.
    fn entries(self, [rows, bags, offsets]: [Tensor; 3]) -> SparseIndex {
        let Self { distinct, places, order, starts } = self;
        let device = rows.device();
        let [indices, places] = [&distinct, &places].map(|list| Tensor::from_slice(list).to_device(device));
        let (distinct, order, starts) = (distinct.into(), order.into(), starts.into());
        SparseIndex { rows, bags, offsets, indices, places, distinct, order, starts }
    }
}

/// Sorts entries by row, and keeps the order within a row: a radix sort from the lowest digit on.
fn in_order(rows: &[u32]) -> Vec<u32> {
    const DIGIT: usize = 11;
    let bits = u32::BITS - rows.iter().fold(0, |all, row| all | row).leading_zeros();
    let mut order: Vec<u32> = (0..rows.len() as u32).collect();
    let mut next = order.clone();
    for shift in (0..bits).step_by(DIGIT) {
        let digit = |entry: u32| (rows[entry as usize] >> shift) as usize & ((1 << DIGIT) - 1);
        let mut starts = [0usize; 1 << DIGIT];
        order.iter().for_each(|&entry| starts[digit(entry)] += 1);
        let mut sum = 0;
        for start in &mut starts {
            sum += std::mem::replace(start, sum);
        }
        for &entry in &order {
            let start = &mut starts[digit(entry)];
            next[*start] = entry;
            *start += 1;
        }
        std::mem::swap(&mut order, &mut next);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [i64; 9] = [70_000, 3, 5, 3, 4_000_000_000, 5, 3, 0, 70_000];

    fn entries(rows: &[i64], bags: &[i64], offsets: &[i64]) -> SparseIndex {
        let [rows, bags, offsets] = [rows, bags, offsets].map(Tensor::from_slice);
        SparseIndex::new(&rows, &bags, &offsets).unwrap()
    }

    fn some() -> SparseIndex {
        // The third bag of four is empty.
        entries(&ROWS, &[0, 0, 1, 1, 1, 1, 3, 3, 3], &[0, 2, 6, 6])
    }

    fn assert_same(found: &SparseIndex, exact: &SparseIndex) {
        let list = |tensor: &Tensor| Vec::<i64>::try_from(tensor).unwrap();
        let tensors = |of: &SparseIndex| [&of.rows, &of.bags, &of.offsets, &of.indices, &of.places].map(list);
        assert_eq!(tensors(found), tensors(exact));
        assert_eq!((&found.distinct, &found.order, &found.starts), (&exact.distinct, &exact.order, &exact.starts));
    }

    #[test]
    fn entries_are_in_the_order_of_their_rows() {
        let found = some();
        assert_eq!(*found.distinct, [0, 3, 5, 70_000, 4_000_000_000]);
        assert_eq!(*found.order, [7, 1, 3, 6, 2, 5, 0, 8, 4]);
        assert_eq!(found.starts(), [0, 1, 4, 6, 8, 9]);
        assert_eq!(Vec::<i64>::try_from(&found.places).unwrap(), [3, 1, 2, 1, 4, 2, 1, 0, 3]);
        assert_eq!(found.entries_of(1), [1, 3, 6]);
        assert!(entries(&[], &[], &[0, 0]).order.is_empty());
        let wide = Tensor::from_slice(&[1i64 << 32]);
        assert!(SparseIndex::new(&wide, &wide, &wide).is_err());
    }

    #[test]
    fn entries_of_some_rows_are_as_if_made_of_them() {
        let (found, numbers) = some().entries_of_rows(&[false, true, false, true, false]).unwrap();
        assert_same(&found, &entries(&[70_000, 3, 3, 3, 70_000], &[0, 0, 1, 3, 3], &[0, 2, 3, 3]));
        assert_eq!(Vec::<i64>::try_from(&numbers).unwrap(), [0, 1, 3, 6, 8]);
        let (none, numbers) = some().entries_of_rows(&[false; 5]).unwrap();
        assert_same(&none, &entries(&[], &[], &[0, 0, 0, 0]));
        assert_eq!(numbers.size(), [0]);
        assert!(some().entries_of_rows(&[true; 4]).is_err());
    }

    #[test]
    fn one_more_bag_is_as_if_made_with_it() {
        let rows = [&ROWS[..], &[0, 2, 3, 5, 70_000, 80_000, 4_000_000_000, 4_000_000_001]].concat();
        let bags = [&[0, 0, 1, 1, 1, 1, 3, 3, 3][..], &[4; 8]].concat();
        let found = some().with_bag_of_all(&[2, 80_000, 4_000_000_001]).unwrap();
        assert_same(&found, &entries(&rows, &bags, &[0, 2, 6, 6, 9]));
    }
}
