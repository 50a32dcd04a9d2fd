//! The topic tree as one HTML page that needs no other file.
//!
//! Fonts, styles and scripts are all in the page. Branches fold without a script; the script adds a search for words
//! and buttons that fold all branches, and unfolds the page for printing. The page is light or dark as the reader's
//! system is.

use super::tree::{Branch, Link, Tree, Word};
use crate::error::{Error, Result};
use crate::markup::{self, escape};
use crate::platform::files::replace;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The texts of the page beside the tree. They are escaped, so they may contain any character.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The heading.
    pub title: String,
    /// The model and its data; line breaks are kept.
    pub settings: String,
    /// Names and values of the numbers at the top.
    pub numbers: Vec<(String, String)>,
    /// Typical documents of each topic, by layer (0 is the lowest) and number of the topic.
    pub examples: HashMap<(usize, usize), Vec<Example>>,
}

/// A document that is typical of a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The document's title, or its first words.
    pub text: String,
    /// The topic's posterior mean count in the document.
    pub weight: f64,
}

/// Renders the page as HTML.
pub fn html(tree: &Tree, about: &About) -> String {
    let numbers: String = about
        .numbers
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value)))
        .collect();
    let numbers = if numbers.is_empty() { numbers } else { format!("<dl class=\"numbers\">\n{numbers}</dl>\n") };
    let layers = layers(tree);
    let largest = largest_shares(&tree.roots, tree.layers.len());
    let forest = Page { tree, about, largest_share_of_layer: largest }.list(&tree.roots);
    markup::page(&about.title, &about.settings, STYLE, &format!("{numbers}{layers}{LEGEND}{TOOLS}{forest}"), SCRIPT)
}

/// Writes a page to a file.
///
/// # Errors
/// Fails if the file cannot be written.
pub fn write(path: &Path, page: &str) -> Result<()> {
    replace(path, page.as_bytes()).map_err(|error| Error::caused(path, "the page cannot be written", error))
}

/// Renders the table of layers, from the top.
fn layers(tree: &Tree) -> String {
    let several = tree.layers.len() > 1;
    let rows: String = tree
        .layers
        .iter()
        .enumerate()
        .rev()
        .map(|(index, layer)| {
            let mut cells = vec![layer.topics.to_string(), decimals(layer.npmi), decimals(Some(layer.diversity))];
            if several {
                let coherence = |field: fn(&super::ParentCoherence) -> Option<f64>| match &layer.parents {
                    Some(parents) => decimals(field(parents)),
                    None => "–".into(),
                };
                cells.extend([coherence(|parents| parents.npmi), coherence(|parents| parents.random)]);
            }
            let cells: String = cells.into_iter().map(|cell| format!("<td>{cell}</td>")).collect();
            format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", layer_name(index, tree.layers.len()))
        })
        .collect();
    let mut heads = vec!["layer", "topics", "coherence (NPMI)", "diversity"];
    if several {
        heads.extend(["coherence with parent", "coherence over all pairs"]);
    }
    let heads: String = heads.into_iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    format!("<div class=\"wide\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}

/// Returns the name of a layer in the table.
fn layer_name(layer: usize, layers: usize) -> String {
    match (layer + 1 == layers, layer) {
        (true, 0) => "topics".into(),
        (true, _) => "top".into(),
        (_, 0) => "bottom".into(),
        _ => format!("{}", layer + 1),
    }
}

/// Returns the largest token share of each layer; bars are scaled by it.
fn largest_shares(branches: &[Branch], layers: usize) -> Vec<f64> {
    let mut largest = vec![0.0; layers];
    let mut stack: Vec<&Branch> = branches.iter().collect();
    while let Some(branch) = stack.pop() {
        largest[branch.layer] = branch.token_share.max(largest[branch.layer]);
        stack.extend(&branch.children);
    }
    largest
}

/// The data that the branches are rendered from.
struct Page<'a> {
    tree: &'a Tree,
    about: &'a About,
    largest_share_of_layer: Vec<f64>,
}

impl Page<'_> {
    fn list(&self, branches: &[Branch]) -> String {
        if branches.is_empty() {
            return String::new();
        }
        let items: String = branches.iter().map(|branch| self.branch(branch)).collect();
        format!("<ol class=\"branches\">\n{items}</ol>\n")
    }

    /// Renders a branch. A branch with content can be folded. Topics with lower topics start unfolded, so that the
    /// whole tree is visible; examples start folded.
    fn branch(&self, branch: &Branch) -> String {
        let (row, notes, examples) = (self.row(branch), self.notes(branch), self.examples(branch));
        let content = if branch.children.is_empty() {
            let details = notes + &examples;
            if details.is_empty() {
                format!("<div class=\"topic\">{row}</div>")
            } else {
                format!(
                    "<details><summary class=\"topic\">{row}</summary>\n<div class=\"under\">{details}</div></details>"
                )
            }
        } else {
            let examples = if examples.is_empty() {
                examples
            } else {
                format!("<details class=\"folded\"><summary>documents</summary>{examples}</details>\n")
            };
            let under = notes + &examples + &self.list(&branch.children);
            format!(
                "<details open=\"open\"><summary class=\"topic\">{row}</summary>\n<div \
                 class=\"under\">{under}</div></details>"
            )
        };
        let depth = self.tree.layers.len() - 1 - branch.layer;
        format!("<li class=\"branch depth{}\">{content}</li>\n", depth.min(1))
    }

    fn row(&self, branch: &Branch) -> String {
        let largest = self.largest_share_of_layer[branch.layer];
        let length = if largest > 0.0 { 100.0 * branch.token_share / largest } else { 0.0 };
        let bar = format!("<span class=\"bar\"><span style=\"width:{length:.1}%\"></span></span>");
        let (tokens, documents) = (percent(branch.token_share), percent(branch.document_share));
        let name = format!("<span class=\"name\">topic {}</span>", branch.topic);
        let size = format!(
            "<span class=\"size\">{bar}<span class=\"share\">{tokens}</span></span><span class=\"documents\" \
             title=\"documents in which this topic is the largest\">{documents}</span>"
        );
        let npmi = format!("<span class=\"npmi\">{}</span>", decimals(branch.npmi));
        format!("{name}{size}{npmi}<span class=\"words\">{}</span>", words(&branch.words))
    }

    /// Renders the parents of the topic with their shares of its weight.
    fn notes(&self, branch: &Branch) -> String {
        let Some(parent) = branch.parent else { return String::new() };
        let one = |link: &Link| {
            format!("topic {} ({} of the weight, coherence {})", link.topic, percent(link.share), decimals(link.npmi))
        };
        let links: Vec<String> = [&parent].into_iter().chain(&branch.other_parents).map(one).collect();
        format!("<p class=\"note\">Parents: {}.</p>\n", links.join(", "))
    }

    fn examples(&self, branch: &Branch) -> String {
        let examples = self.about.examples.get(&(branch.layer, branch.topic)).map_or(&[][..], Vec::as_slice);
        if examples.is_empty() {
            return String::new();
        }
        let items: String = examples
            .iter()
            .map(|Example { text, weight }| {
                format!(
                    "<li><span class=\"weight\">{}</span> <bdi>{}</bdi></li>\n",
                    three_digits(*weight),
                    visible_text(text)
                )
            })
            .collect();
        format!("<ul class=\"examples\">\n{items}</ul>\n")
    }
}

/// Renders words with a font size that grows with the square root of their weight, so that letter area grows with
/// weight.
fn words(words: &[Word]) -> String {
    let largest = words.first().map_or(0.0, |word| word.weight);
    let spans = words.iter().map(|Word { word, weight }| {
        let size = 0.82 + 0.48 * if largest > 0.0 { (weight / largest).sqrt() } else { 0.0 };
        let tip = three_digits(*weight);
        // Isolated, so that a right-to-left word does not reorder its neighbours.
        format!("<bdi class=\"word\" style=\"font-size:{size:.2}em\" title=\"{tip}\">{}</bdi>", visible_text(word))
    });
    spans.collect::<Vec<_>>().join(" ")
}

/// Escapes a text for the page; `(empty)` for a blank one.
fn visible_text(text: &str) -> String {
    if text.trim().is_empty() { "<i>(empty)</i>".into() } else { escape(text) }
}

/// Formats a value with two decimals.
fn decimals(value: Option<f64>) -> String {
    // Rounds small negative values to 0, to avoid "−0.00".
    value.map_or_else(
        || "none".into(),
        |value| format!("{:.2}", if value.abs() < 0.005 { 0.0 } else { value }).replace('-', "−"),
    )
}

/// Formats a share as percentage.
fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".into(),
        percent if percent < 0.1 => "&lt; 0.1 %".into(),
        percent if percent < 9.95 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// Formats a weight with three significant digits.
fn three_digits(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        "0".into()
    } else if (1e-3..1e4).contains(&magnitude) {
        let digits = (2.0 - magnitude.log10().floor()).max(0.0) as usize;
        format!("{value:.digits$}")
    } else {
        format!("{value:.2e}")
    }
}

/// The explanation above the tree.
const LEGEND: &str = "\
<p class=\"legend\">Each line is a topic: its number; its share of the words of the training documents (bars are \
scaled within each layer; shares do not sum to 100 % because some words belong to no topic); \
the share of these documents in which it is the largest topic; its coherence \
(NPMI: 1 if its words only occur together, 0 if they are independent, −1 if they never occur together); and its top \
ten words, sized by their weight. Below a topic are the lower topics of which it is the main parent.</p>
";

/// The search field and the buttons, hidden until the script runs because they need it.
const TOOLS: &str = "\
<p class=\"tools\" hidden=\"hidden\"><input type=\"search\" placeholder=\"find a word\" aria-label=\"find a word\"/>
<button type=\"button\" data-open=\"\">fold all</button> <button type=\"button\" data-open=\"open\">unfold \
    all</button></p>
";

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
