//! Merges clusters of documents into fewer ones, from which the upper layers of a topic model are initialised.
//!
//! Ward's method (Ward, JASA 58, 1963): merge the pair of groups that adds least to the sum of squared distances of
//! documents from their group's centre, until the wanted number of groups remains. Small groups cost little to merge,
//! so that the result has groups of similar sizes. k-means would often leave a single unusual topic as a group of its
//! own.

use super::clusters::direction;

/// Groups of document clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The new group of each cluster.
    pub group: Vec<usize>,
    /// The directions of the groups, of unit length, `[groups][words]`. If there are more groups than clusters, an
    /// empty group has the direction of one of the clusters.
    pub directions: Vec<Vec<f32>>,
    /// The number of documents in each group.
    pub sizes: Vec<f64>,
}

impl Merged {
    /// Merges clusters into `groups` groups, at least one. `directions` `[clusters][words]` have unit length; `sizes`
    /// `[clusters]` are numbers of documents.
    pub fn of_directions(directions: &[Vec<f32>], sizes: &[f64], groups: usize) -> Self {
        let mut owner: Vec<usize> = (0..directions.len()).collect();
        let mut mass: Vec<f64> = sizes.iter().map(|size| size.max(1.0)).collect();
        // The cost of merging two groups: the squared distance of their centres times half the harmonic mean of their
        // sizes.
        let mut cost: Vec<Vec<f64>> = (0..directions.len())
            .map(|i| {
                let other = |j: usize| {
                    let cosine: f32 = directions[i].iter().zip(&directions[j]).map(|(a, b)| a * b).sum();
                    mass[i] * mass[j] / (mass[i] + mass[j]) * 2.0 * (1.0 - f64::from(cosine))
                };
                (0..i).map(other).collect()
            })
            .collect();
        let mut remaining: Vec<usize> = owner.clone();
        while remaining.len() > groups.max(1) {
            let pairs = remaining.iter().enumerate().flat_map(|(n, &i)| remaining[..n].iter().map(move |&j| (i, j)));
            let Some((i, j)) = pairs.min_by(|a, b| cost[a.0][a.1].total_cmp(&cost[b.0][b.1])) else { break };
            remaining.retain(|&group| group != i);
            owner.iter_mut().filter(|owner| **owner == i).for_each(|owner| *owner = j);
            // The costs of the merged group, by the update of Lance and Williams, The Computer Journal 9, 1967.
            let merging = cost[i][j];
            for &k in remaining.iter().filter(|&&k| k != j) {
                let cost_of = |a: usize, b: usize| cost[a.max(b)][a.min(b)];
                let sum = (mass[i] + mass[k]) * cost_of(i, k) + (mass[j] + mass[k]) * cost_of(j, k) - mass[k] * merging;
                cost[j.max(k)][j.min(k)] = sum / (mass[i] + mass[j] + mass[k]);
            }
            mass[j] += mass[i];
        }
        let group: Vec<usize> = owner.iter().map(|owner| remaining.partition_point(|group| group < owner)).collect();
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

    /// Returns the least sum of squared distances over all partitions.
    fn best(directions: &[Vec<f32>], sizes: &[f64], groups: usize) -> f64 {
        let count = directions.len();
        let cost = |group: &[usize]| -> f64 {
            (0..groups)
                .map(|g| {
                    let members: Vec<usize> = (0..count).filter(|&i| group[i] == g).collect();
                    let mass: f64 = members.iter().map(|&i| sizes[i]).sum();
                    let component =
                        |d: usize| members.iter().map(|&i| sizes[i] * f64::from(directions[i][d])).sum::<f64>();
                    if mass > 0.0 { mass - (component(0).powi(2) + component(1).powi(2)) / mass } else { 0.0 }
                })
                .sum()
        };
        let partition = |number: usize| (0..count).map(|i| number / groups.pow(i as u32) % groups).collect::<Vec<_>>();
        (0..groups.pow(count as u32)).map(|number| cost(&partition(number))).fold(f64::INFINITY, f64::min)
    }

    /// For three bundles of directions, Ward's method finds the best of all partitions.
    #[test]
    fn bundles_are_merged_into_the_best_partition() {
        let angles = [0.0, 0.8, 1.5, 0.05, 0.85, 1.55, 0.1];
        let directions: Vec<_> = angles.iter().map(|&angle| unit(angle)).collect();
        let sizes = [5.0, 1.0, 20.0, 3.0, 2.0, 7.0, 1.0];
        let merged = Merged::of_directions(&directions, &sizes, 3);
        assert_eq!(merged.group, [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(merged.sizes, [9.0, 3.0, 27.0]);
        let cost: f64 = (0..3)
            .map(|g| {
                let members = || (0..7).filter(|&i| merged.group[i] == g);
                let centre = [0, 1]
                    .map(|d| members().map(|i| sizes[i] * f64::from(directions[i][d])).sum::<f64>() / merged.sizes[g]);
                let square = |i: usize| (0..2).map(|d| (f64::from(directions[i][d]) - centre[d]).powi(2)).sum::<f64>();
                members().map(|i| sizes[i] * square(i)).sum::<f64>()
            })
            .sum();
        assert!((cost - best(&directions, &sizes, 3)).abs() < 1e-5, "{cost}");
        for direction in &merged.directions {
            assert!((direction.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    /// A single unusual topic of few documents joins others instead of being a group of its own.
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
