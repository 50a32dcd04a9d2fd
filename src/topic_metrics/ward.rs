//! Groups of groups: where the upper layers of a topic model start from.
//!
//! Ward's method (Ward, JASA 58, 1963): of all pairs, the one is merged whose merging adds least to the squared
//! distances of documents from their group's centre, until as many groups are left as are wanted. Groups of few
//! documents cost little to merge, so that those that are left are of like sizes, and none is a single odd topic, which
//! k-means likes to leave by itself.

use super::clusters::direction;

/// Groups of groups of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The group of each that was merged.
    pub group: Vec<usize>,
    /// Directions of the groups, of unit length; that of a group without members, where more are wanted than there
    /// were, is a member's of another.
    pub directions: Vec<Vec<f32>>,
    /// Documents of each group.
    pub sizes: Vec<f64>,
}

impl Merged {
    /// Merges groups with these directions, of unit length, and these numbers of documents into so many, at least one.
    pub fn of_directions(directions: &[Vec<f32>], sizes: &[f64], groups: usize) -> Self {
        let mut owner: Vec<usize> = (0..directions.len()).collect();
        let mut mass: Vec<f64> = sizes.iter().map(|size| size.max(1.0)).collect();
        // Squares of distances between centres, times half the harmonic mean of the sizes: what merging adds.
        let mut cost: Vec<Vec<f64>> = (0..directions.len())
            .map(|i| {
                let other = |j: usize| {
                    let cosine: f32 = directions[i].iter().zip(&directions[j]).map(|(a, b)| a * b).sum();
                    mass[i] * mass[j] / (mass[i] + mass[j]) * 2.0 * (1.0 - f64::from(cosine))
                };
                (0..i).map(other).collect()
            })
            .collect();
        let mut left: Vec<usize> = owner.clone();
        while left.len() > groups.max(1) {
            let pairs = left.iter().enumerate().flat_map(|(n, &i)| left[..n].iter().map(move |&j| (i, j)));
            let Some((i, j)) = pairs.min_by(|a, b| cost[a.0][a.1].total_cmp(&cost[b.0][b.1])) else { break };
            left.retain(|&group| group != i);
            owner.iter_mut().filter(|owner| **owner == i).for_each(|owner| *owner = j);
            // Lance and Williams, The Computer Journal 9, 1967.
            let merging = cost[i][j];
            for &k in left.iter().filter(|&&k| k != j) {
                let of = |a: usize, b: usize| cost[a.max(b)][a.min(b)];
                let sum = (mass[i] + mass[k]) * of(i, k) + (mass[j] + mass[k]) * of(j, k) - mass[k] * merging;
                cost[j.max(k)][j.min(k)] = sum / (mass[i] + mass[j] + mass[k]);
            }
            mass[j] += mass[i];
        }
        let group: Vec<usize> = owner.iter().map(|owner| left.partition_point(|group| group < owner)).collect();
        let mut merged = Self { group, directions: Vec::new(), sizes: vec![0.0; groups.max(1)] };
        for (&group, size) in merged.group.iter().zip(sizes) {
            merged.sizes[group] += size;
        }
        for number in 0..groups.max(1) {
            let mut sum = vec![0.0; directions.first().map_or(0, Vec::len)];
            let members = merged.group.iter().zip(directions.iter().zip(sizes)).filter(|(group, _)| **group == number);
            for (_, (member, size)) in members {
                sum.iter_mut().zip(member).for_each(|(sum, x)| *sum += size.max(1.0) as f32 * x);
            }
            let other = || directions.get(number % directions.len().max(1)).cloned().unwrap_or_default();
            merged.directions.push(direction(sum).unwrap_or_else(other));
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(angle: f32) -> Vec<f32> {
        vec![angle.cos(), angle.sin()]
    }

    /// What partitions add to the squared distances, by trying them all.
    fn best(directions: &[Vec<f32>], sizes: &[f64], groups: usize) -> f64 {
        let count = directions.len();
        let cost = |group: &[usize]| -> f64 {
            (0..groups)
                .map(|g| {
                    let members: Vec<usize> = (0..count).filter(|&i| group[i] == g).collect();
                    let mass: f64 = members.iter().map(|&i| sizes[i]).sum();
                    let at = |d: usize| members.iter().map(|&i| sizes[i] * f64::from(directions[i][d])).sum::<f64>();
                    if mass > 0.0 { mass - (at(0).powi(2) + at(1).powi(2)) / mass } else { 0.0 }
                })
                .sum()
        };
        let partition = |number: usize| (0..count).map(|i| number / groups.pow(i as u32) % groups).collect::<Vec<_>>();
        (0..groups.pow(count as u32)).map(|number| cost(&partition(number))).fold(f64::INFINITY, f64::min)
    }

    /// Three bundles of directions: merged as the best of all partitions, whose cost is that of the merges.
    #[test]
    fn bundles_are_merged_as_the_best_partition_has_them() {
        let angles = [0.0, 0.8, 1.5, 0.05, 0.85, 1.55, 0.1];
        let directions: Vec<_> = angles.iter().map(|&angle| unit(angle)).collect();
        let sizes = [5.0, 1.0, 20.0, 3.0, 2.0, 7.0, 1.0];
        let merged = Merged::of_directions(&directions, &sizes, 3);
        assert_eq!(merged.group, [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(merged.sizes, [9.0, 3.0, 27.0]);
        let left: f64 = (0..3)
            .map(|g| {
                let members = || (0..7).filter(|&i| merged.group[i] == g);
                let centre = [0, 1]
                    .map(|d| members().map(|i| sizes[i] * f64::from(directions[i][d])).sum::<f64>() / merged.sizes[g]);
                let square = |i: usize| (0..2).map(|d| (f64::from(directions[i][d]) - centre[d]).powi(2)).sum::<f64>();
                members().map(|i| sizes[i] * square(i)).sum::<f64>()
            })
            .sum();
        assert!((left - best(&directions, &sizes, 3)).abs() < 1e-5, "{left}");
        for direction in &merged.directions {
            assert!((direction.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    /// A single odd topic of few documents joins others, rather than being one of few groups.
    #[test]
    fn small_groups_are_merged_before_large_ones() {
        let directions: Vec<_> = [0.0, 0.5, 1.5].map(unit).to_vec();
        assert_eq!(Merged::of_directions(&directions, &[100.0, 100.0, 1.0], 2).group, [0, 1, 1]);
        assert_eq!(Merged::of_directions(&directions, &[1.0, 1.0, 100.0], 2).group, [0, 0, 1]);
    }

    #[test]
    fn more_groups_than_there_are_stay_empty() {
        let directions = vec![unit(0.0), unit(1.0)];
        let merged = Merged::of_directions(&directions, &[0.0, 4.0], 3);
        assert_eq!((merged.group, merged.sizes), (vec![0, 1], vec![0.0, 4.0, 0.0]));
        assert_eq!(merged.directions[2], unit(0.0));
        assert_eq!(Merged::of_directions(&directions, &[1.0, 1.0], 1).group, [0, 0]);
    }
}
