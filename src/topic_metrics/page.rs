//! A tree of topics to look at: one page with everything.
//!
//! It stands alone: no fonts, styles or scripts from elsewhere. Branches fold without a script; the script adds a
//! search for words and buttons that fold everything, and unfolds the page for printing. Light or dark follows the
//! reader's choice.

use super::tree::{Branch, Link, Tree, Word};
use crate::error::{Error, Result};
use crate::markup::{self, escape};
use crate::platform::files::replace;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// What the page says beside the tree. All text is shown as it is, whatever it contains.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The heading.
    pub title: String,
    /// What was trained, on what; its line breaks are kept.
    pub settings: String,
    /// Names and values of the numbers at the top.
    pub numbers: Vec<(String, String)>,
    /// Documents that are typical of a topic, by layer (0 is the lowest) and number.
    pub examples: HashMap<(usize, usize), Vec<Example>>,
}

/// A document that is typical of a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its title, or its first words.
    pub text: String,
    /// The topic's weight in it, in the model's own unit.
    pub weight: f64,
}

/// The page.
pub fn html(tree: &Tree, about: &About) -> String {
    let numbers: String = about
        .numbers
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value)))
        .collect();
    let numbers = if numbers.is_empty() { numbers } else { format!("<dl class=\"numbers\">\n{numbers}</dl>\n") };
    let layers = layers(tree);
    let most = largest_shares(&tree.roots, tree.layers.len());
    let forest = Page { tree, about, most }.list(&tree.roots);
    markup::page(&about.title, &about.settings, STYLE, &format!("{numbers}{layers}{LEGEND}{TOOLS}{forest}"), SCRIPT)
}

/// Writes a page to a file.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, page: &str) -> Result<()> {
    replace(path, page.as_bytes()).map_err(|error| Error::caused(path, "the page cannot be written", error))
}

/// The layers in numbers, the top one first.
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
                let coherence = |of: fn(&super::ParentCoherence) -> Option<f64>| match &layer.parents {
                    Some(parents) => decimals(of(parents)),
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
        heads.extend(["coherence with parent", "the same, of random pairs"]);
    }
    let heads: String = heads.into_iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
    format!("<div class=\"wide\"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n")
}

fn layer_name(layer: usize, layers: usize) -> String {
    match (layer + 1 == layers, layer) {
        (true, 0) => "topics".into(),
        (true, _) => "top".into(),
        (_, 0) => "bottom".into(),
        _ => format!("{}", layer + 1),
    }
}

/// The largest share of tokens of each layer, which has the longest bar.
fn largest_shares(branches: &[Branch], layers: usize) -> Vec<f64> {
    let mut most = vec![0.0; layers];
    let mut stack: Vec<&Branch> = branches.iter().collect();
    while let Some(branch) = stack.pop() {
        most[branch.layer] = branch.token_share.max(most[branch.layer]);
        stack.extend(&branch.children);
    }
    most
}

/// What branches are drawn from.
struct Page<'a> {
    tree: &'a Tree,
    about: &'a About,
    most: Vec<f64>,
}

impl Page<'_> {
    fn list(&self, branches: &[Branch]) -> String {
        if branches.is_empty() {
            return String::new();
        }
        let items: String = branches.iter().map(|branch| self.branch(branch)).collect();
        format!("<ol class=\"branches\">\n{items}</ol>\n")
    }

    /// A branch with something under it can be folded. Topics are open where there are topics under them, so that the
    /// whole tree can be seen at once; examples wait for a click.
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
        let most = self.most[branch.layer];
        let length = if most > 0.0 { 100.0 * branch.token_share / most } else { 0.0 };
        let bar = format!("<span class=\"bar\"><span style=\"width:{length:.1}%\"></span></span>");
        let (tokens, documents) = (percent(branch.token_share), percent(branch.document_share));
        let name = format!("<span class=\"name\">topic {}</span>", branch.topic);
        let size = format!(
            "<span class=\"size\">{bar}<span class=\"share\">{tokens}</span></span><span class=\"documents\" \
             title=\"documents in which it is the \
             largest\">{documents}</span>"
        );
        let npmi = format!("<span class=\"npmi\">{}</span>", decimals(branch.npmi));
        format!("{name}{size}{npmi}<span class=\"words\">{}</span>", words(&branch.words))
    }

    /// Where the topic's weight comes from.
    fn notes(&self, branch: &Branch) -> String {
        let Some(parent) = branch.parent else { return String::new() };
        let one = |link: &Link| {
            format!("{} from topic {} (coherence with it {})", percent(link.share), link.topic, decimals(link.npmi))
        };
        let links: Vec<String> = [&parent].into_iter().chain(&branch.other_parents).map(one).collect();
        format!("<p class=\"note\">Its weight: {}.</p>\n", links.join(", "))
    }

    fn examples(&self, branch: &Branch) -> String {
        let examples = self.about.examples.get(&(branch.layer, branch.topic)).map_or(&[][..], Vec::as_slice);
        if examples.is_empty() {
            return String::new();
        }
        let items: String = examples
            .iter()
            .map(|Example { text, weight }| {
                format!("<li><span class=\"weight\">{}</span> <bdi>{}</bdi></li>\n", significant(*weight), shown(text))
            })
            .collect();
        format!("<ul class=\"examples\">\n{items}</ul>\n")
    }
}

/// Words as large as their shares: the area of a letter grows with the share, from a legible smallest size.
fn words(words: &[Word]) -> String {
    let largest = words.first().map_or(0.0, |word| word.weight);
    let spans = words.iter().map(|Word { word, weight }| {
        let size = 0.82 + 0.48 * if largest > 0.0 { (weight / largest).sqrt() } else { 0.0 };
        let tip = significant(*weight);
        // Isolated, so that a word from right to left does not turn its neighbours around.
        format!("<bdi class=\"word\" style=\"font-size:{size:.2}em\" title=\"{tip}\">{}</bdi>", shown(word))
    });
    spans.collect::<Vec<_>>().join(" ")
}

/// Text that can be seen even where there is none.
fn shown(text: &str) -> String {
    if text.trim().is_empty() { "<i>(empty)</i>".into() } else { escape(text) }
}

fn decimals(value: Option<f64>) -> String {
    // Of a tiny negative number, no sign would be left to explain.
    value.map_or_else(
        || "none".into(),
        |value| format!("{:.2}", if value.abs() < 0.005 { 0.0 } else { value }).replace('-', "−"),
    )
}

fn percent(share: f64) -> String {
    match 100.0 * share {
        0.0 => "0 %".into(),
        percent if percent < 0.1 => "&lt; 0.1 %".into(),
        percent if percent < 9.95 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// Three digits of a weight, whose unit is the model's.
fn significant(value: f64) -> String {
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

const LEGEND: &str = "\
<p class=\"legend\">One line a topic: its number, its share of the words of the training documents (with bars by \
layer; what is left over belongs to no topic), \
the share of these documents in which it is the largest, its coherence \
(NPMI: 1 when its words only come together, 0 when they are independent, −1 when they never meet), and its ten first \
words, the larger \
the larger their share. Under a topic: those it has the largest share in.</p>
";

/// Hidden until the script runs, since they do nothing without it.
const TOOLS: &str = "\
<p class=\"tools\" hidden=\"hidden\"><input type=\"search\" placeholder=\"find a word\" aria-label=\"find a word\"/>
<button type=\"button\" data-open=\"\">fold all</button> <button type=\"button\" data-open=\"open\">unfold \
    all</button></p>
";

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
