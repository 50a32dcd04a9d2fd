//! English words without a topic of their own: articles, pronouns, prepositions, conjunctions, auxiliaries, and a few
//! adverbs and verbs that occur in texts of every kind. The list was made for this crate.

/// Returns whether a word, in lower case, is in the list.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// The words, in ascending order.
#[rustfmt::skip]
const STOP_WORDS: [&str; 295] = [
    "a", "about", "above", "across", "after", "again", "against", "ain't", "all", "almost", "along", "already",
    "also", "although", "always", "am", "among", "an", "and", "another", "any", "anybody", "anyone", "anything",
    "anywhere", "are", "aren't", "around", "as", "at", "away", "be", "became", "because", "become", "becomes",
    "been", "before", "being", "below", "beside", "besides", "between", "beyond", "both", "but", "by", "came",
    "can", "can't", "cannot", "come", "could", "couldn't", "did", "didn't", "do", "does", "doesn't", "doing",
    "don't", "done", "down", "during", "each", "either", "else", "enough", "even", "ever", "every", "everybody",
    "everyone", "everything", "everywhere", "except", "few", "for", "from", "further", "get", "gets", "getting",
    "go", "goes", "going", "gone", "got", "had", "hadn't", "has", "hasn't", "have", "haven't", "having", "he",
    "he'd", "he'll", "hence", "her", "here", "hers", "herself", "him", "himself", "his", "how", "however", "i",
    "i'd", "i'll", "i'm", "i've", "if", "in", "indeed", "instead", "into", "is", "isn't", "it", "it'd", "it'll",
    "its", "itself", "just", "let", "lets", "like", "made", "make", "makes", "many", "may", "maybe", "me",
    "might", "mightn't", "mine", "more", "moreover", "most", "much", "must", "mustn't", "my", "myself", "near",
    "needn't", "neither", "never", "nevertheless", "no", "nobody", "none", "nor", "not", "nothing", "now",
    "nowhere", "of", "off", "often", "on", "once", "one", "only", "onto", "or", "other", "others", "otherwise",
    "ought", "our", "ours", "ourselves", "out", "over", "own", "perhaps", "quite", "rather", "really", "said",
    "same", "say", "says", "see", "seem", "seemed", "seems", "several", "shall", "she", "she'd", "she'll",
    "should", "shouldn't", "since", "so", "some", "somebody", "someone", "something", "sometimes", "somewhere",
    "still", "such", "take", "than", "that", "that'd", "that'll", "the", "their", "theirs", "them",
    "themselves", "then", "there", "there'd", "there'll", "therefore", "these", "they", "they'd", "they'll",
    "they're", "they've", "this", "those", "though", "through", "throughout", "thus", "to", "together", "too",
    "toward", "towards", "under", "unless", "until", "up", "upon", "us", "very", "via", "was", "wasn't", "we",
    "we'd", "we'll", "we're", "we've", "well", "went", "were", "weren't", "what", "whatever", "when",
    "whenever", "where", "whereas", "wherever", "whether", "which", "while", "who", "who'd", "who'll", "who've",
    "whoever", "whole", "whom", "whose", "why", "will", "with", "within", "without", "won't", "would",
    "wouldn't", "yet", "you", "you'd", "you'll", "you're", "you've", "your", "yours", "yourself", "yourselves",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_binary_search() {
        assert!(STOP_WORDS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(is_stop_word("the") && is_stop_word("don't") && !is_stop_word("poisson"));
    }
}
