//! The page that shows a tree of topics: read back as XML.

use gengs::topic_metrics::page::{About, Example, html};
use gengs::topic_metrics::{Layer, Tree};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::HashMap;

const HOSTILE: [&str; 12] = [
    "<script>alert('1 & 2')</script>",
    "\"quoted\" & 'quoted'",
    "",
    " ",
    "]]>",
    "<!--",
    "&lt;",
    "שלום",
    "\u{202e}turned",
    "\0\u{1b}\u{ffff}",
    "漢字",
    "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle",
];

fn parsed(text: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn elements<'a>(node: Node<'a, 'a>, tag: &'a str, class: &'a str) -> Vec<Node<'a, 'a>> {
    let matches = |node: &Node<'_, '_>| node.tag_name().name() == tag && node.attribute("class").unwrap_or("") == class;
    node.descendants().filter(matches).collect()
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_string()).collect()
}

/// A topic of the first words with halving probabilities, from a word on.
fn topic(first: usize, size: usize) -> Vec<f64> {
    let weight = |word: usize| 0.5_f64.powi(((word + size - first) % size) as i32);
    let total: f64 = (0..size).map(weight).sum();
    (0..size).map(|word| weight(word) / total).collect()
}

/// Two topics over three, of hostile words.
fn tree() -> Tree {
    let (low, high) = ([topic(0, 12), topic(3, 12), topic(6, 12)], [topic(1, 12), topic(7, 12)]);
    let layers = [
        Layer { topics: &low, token_share: &[0.25, 0.75, 0.0003], document_share: &[0.25, 0.75, 0.0003] },
        Layer { topics: &high, token_share: &[0.25, 0.75], document_share: &[0.25, 0.75] },
    ];
    let weights = [vec![vec![3.0, 1.0, 0.0], vec![1.0, 2.0, 5.0]]];
    let documents = [vec![(0, 1), (1, 1), (7, 2)], vec![(1, 1), (2, 1)], vec![(7, 1), (8, 1)]];
    Tree::new(&layers, &weights, &words(&HOSTILE), documents).unwrap()
}

fn about() -> About {
    let example = |text: &str| Example { text: text.into(), weight: 0.123_456 };
    About {
        title: HOSTILE[0].into(),
        settings: HOSTILE[1].into(),
        numbers: vec![(HOSTILE[4].into(), HOSTILE[5].into())],
        examples: HashMap::from([
            ((1, 0), HOSTILE.iter().map(|text| example(text)).collect()),
            ((0, 2), vec![example("one")]),
        ]),
    }
}

#[test]
fn words_of_the_user_are_text_and_not_markup() {
    let page = html(&tree(), &about());
    let document = parsed(&page);
    let root = document.root();
    assert_eq!(elements(root, "script", "").len(), 1);
    assert_eq!(text(elements(root, "h1", "")[0]), HOSTILE[0]);
    assert_eq!(text(elements(root, "p", "settings")[0]), HOSTILE[1]);
    assert_eq!(text(elements(root, "dl", "numbers")[0]).trim(), "]]><!--");
    let shown: Vec<String> = elements(root, "bdi", "word").into_iter().map(text).collect();
    assert_eq!(shown.len(), 5 * 10);
    let isolated: Vec<String> = elements(root, "bdi", "").into_iter().map(text).collect();
    for (index, word) in HOSTILE.iter().enumerate() {
        let expected = match index {
            2 | 3 => "(empty)",
            9 => "\u{fffd}\u{fffd}\u{fffd}",
            _ => word,
        };
        assert!(shown.iter().any(|word| word == expected), "{expected}");
        assert!(isolated.iter().any(|text| text == expected), "{expected}");
    }
}

#[test]
fn branches_hang_where_the_tree_has_them() {
    let page = html(&tree(), &about());
    let document = parsed(&page);
    let name = |branch: &Node<'_, '_>| text(elements(*branch, "span", "name")[0]);
    let roots = elements(document.root(), "li", "branch depth0");
    assert_eq!(roots.iter().map(name).collect::<Vec<String>>(), ["topic 1", "topic 0"]);
    let children = |root: usize| elements(roots[root], "li", "branch depth1");
    assert_eq!(children(0).iter().map(name).collect::<Vec<String>>(), ["topic 2", "topic 1"]);
    assert_eq!(children(1).iter().map(name).collect::<Vec<String>>(), ["topic 0"]);
    let shares: Vec<String> = elements(document.root(), "span", "share").into_iter().map(text).collect();
    assert_eq!(shares, ["75 %", "< 0.1 %", "75 %", "25 %", "25 %"]);
    let documents: Vec<String> = elements(document.root(), "span", "documents").into_iter().map(text).collect();
    assert_eq!(documents, shares);
    let bars: Vec<&str> = elements(document.root(), "span", "bar")
        .into_iter()
        .map(|bar| bar.first_element_child().unwrap().attribute("style").unwrap())
        .collect();
    assert_eq!(bars, ["width:100.0%", "width:0.0%", "width:100.0%", "width:33.3%", "width:33.3%"]);
    let note = text(elements(children(1)[0], "p", "note")[0]);
    assert!(note.contains("topic 0 (75 % of") && note.contains("topic 1 (25 % of"), "{note}");
    let words = elements(roots[0], "bdi", "word");
    assert_eq!(words[0].attribute("style"), Some("font-size:1.30em"));
    assert_eq!(words[2].attribute("style"), Some("font-size:1.06em"));
    assert_eq!(words[0].attribute("title"), Some("0.500"));
    let weights: Vec<String> = elements(roots[0], "span", "weight").into_iter().map(text).collect();
    assert_eq!(weights, ["0.123"]);
}

#[test]
fn the_layers_are_told_in_numbers() {
    let tree = tree();
    let page = html(&tree, &About::default());
    let document = parsed(&page);
    let rows: Vec<Vec<String>> = elements(document.root(), "tr", "")
        .into_iter()
        .map(|row| row.children().filter(Node::is_element).map(text).collect())
        .collect();
    let number = |value: Option<f64>| format!("{:.2}", value.unwrap()).replace('-', "−");
    let (low, high) = (&tree.layers[0], &tree.layers[1]);
    let parents = low.parents.unwrap();
    assert_eq!(rows[1], ["top", "2", &number(high.npmi), &number(Some(high.diversity)), "–", "–"]);
    let coherence = [number(parents.npmi), number(parents.random)];
    assert_eq!(rows[2], ["bottom", "3", &number(low.npmi), &number(Some(low.diversity)), &coherence[0], &coherence[1]]);
}

#[test]
fn a_single_layer_is_a_list_without_folds() {
    let topics = [topic(0, 12), topic(5, 12)];
    let layer = Layer { topics: &topics, token_share: &[0.0, 0.0], document_share: &[0.0, 0.0] };
    let tree = Tree::new(&[layer], &[], &words(&HOSTILE), [[(0, 1)]]).unwrap();
    let page = html(&tree, &About::default());
    let document = parsed(&page);
    assert_eq!(elements(document.root(), "li", "branch depth0").len(), 2);
    assert!(elements(document.root(), "details", "").is_empty() && !page.contains("parent</th>"));
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let page = html(&tree(), &About::default());
    for outside in ["src=", "href", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("http").count(), page.matches("xmlns=\"http://www.w3.org/").count());
}

#[test]
fn weights_of_any_size_are_written() {
    let weights = [0.0, -0.0, 1e-300, -2.5, 1234.5, 9999.9, 1e300, f64::NAN, f64::INFINITY];
    let examples = weights.map(|weight| Example { text: "text".into(), weight }).to_vec();
    let page = html(&tree(), &About { examples: HashMap::from([((0, 0), examples)]), ..About::default() });
    let written: Vec<String> = elements(parsed(&page).root(), "span", "weight").into_iter().map(text).collect();
    assert_eq!(written, ["0", "0", "1.00e-300", "-2.50", "1234", "10000", "1.00e300", "NaN", "inf"]);
}
