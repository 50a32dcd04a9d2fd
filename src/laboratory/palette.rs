//! Which estimators stand side by side, and how each is drawn, always in the same colour and dashes.

use super::axis::number;
use crate::estimators::{Approach, EstimatorKind};

/// The six colours of Okabe and Ito ("Color universal design", 2008) that stand out from white and from black: people
/// with any of the common colour blindnesses can tell them apart. No column has more estimators.
pub(super) const COLOURS: [&str; 6] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"];

/// The length of a dash and the gap after it, the same for all estimators of a column.
const PERIOD: f64 = 24.0;

/// The approaches that have a column, in their order. The exact gradient is the reference in all of them.
pub(super) const COLUMNS: [Approach; 5] =
    [Approach::Pathwise, Approach::AtExactSamples, Approach::ScoreFunction, Approach::ControlVariate, Approach::Steps];

/// The heading of a column.
pub(super) fn title(approach: Approach) -> &'static str {
    match approach {
        Approach::Reference => "exact",
        Approach::Pathwise => "relaxed samples",
        Approach::AtExactSamples => "slopes at exact samples",
        Approach::ScoreFunction => "score function",
        Approach::ControlVariate => "control variates",
        Approach::Steps => "from atom to atom",
    }
}

/// The estimators of a column, in the order in which they are listed and drawn.
pub(super) fn members(approach: Approach) -> Vec<EstimatorKind> {
    EstimatorKind::ALL.into_iter().filter(|kind| kind.facts().approach == approach).collect()
}

/// Attributes of an estimator's marks: the class that colours them, and the name under which they are highlighted
/// together.
pub(super) fn marks(kind: EstimatorKind) -> String {
    let class = match place(kind) {
        Some((index, _)) => format!("colour{}", index % COLOURS.len()),
        None => "reference".into(),
    };
    format!("class=\"{class}\" data-estimator=\"{kind}\"")
}

/// The dashes of an estimator's line, as an attribute; nothing for a solid line.
///
/// Along one path, the dashes of the n estimators of a column are nested: the first is solid, and each that is drawn
/// over it is shorter by an nth of the period. So where lines coincide, each shows for an nth of every period.
pub(super) fn dashes(kind: EstimatorKind) -> String {
    match place(kind) {
        None | Some((0, _)) => String::new(),
        Some((index, count)) => {
            let gap = PERIOD * index as f64 / count as f64;
            format!(" stroke-dasharray=\"{} {}\"", number(PERIOD - gap), number(gap))
        }
    }
}

/// Of the dot that stands for a line of one point: each estimator's is smaller than those it is drawn over.
pub(super) fn radius(kind: EstimatorKind) -> f64 {
    let over = place(kind).map_or(COLOURS.len(), |(index, count)| count - 1 - index);
    1.5 + over as f64
}

/// An estimator's place in its column, and the column's size; `None` for the reference.
fn place(kind: EstimatorKind) -> Option<(usize, usize)> {
    let approach = kind.facts().approach;
    if approach == Approach::Reference {
        return None;
    }
    let members = members(approach);
    Some((members.iter().position(|member| *member == kind)?, members.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_estimators_of_a_column_are_drawn_alike() {
        let mut grouped = 0;
        for approach in COLUMNS {
            let members = members(approach);
            grouped += members.len();
            for (index, one) in members.iter().enumerate() {
                for other in &members[..index] {
                    assert_ne!(dashes(*one), dashes(*other), "{one} {other}");
                    assert!(radius(*one) < radius(*other) && radius(*other) < radius(EstimatorKind::Exact));
                    assert_ne!(marks(*one).split(' ').next(), marks(*other).split(' ').next(), "{one} {other}");
                }
            }
        }
        assert_eq!(grouped + 1, EstimatorKind::ALL.len());
    }

    #[test]
    fn where_lines_coincide_each_shows_for_its_part_of_the_period() {
        assert_eq!(members(Approach::ScoreFunction).len(), 6);
        let drawn: Vec<String> = members(Approach::ScoreFunction).into_iter().map(dashes).collect();
        assert_eq!(drawn[0], "");
        for (index, dashes) in drawn.iter().enumerate().skip(1) {
            let gap = 4.0 * index as f64;
            assert_eq!(*dashes, format!(" stroke-dasharray=\"{} {}\"", number(24.0 - gap), number(gap)));
        }
    }
}
