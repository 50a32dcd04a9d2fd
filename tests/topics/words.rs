//! Words of twelve languages in ten scripts: those that a reader of the language would write down, whether the text is composed or decomposed.

use gengs::data::{TextRules, Vocabulary};
use unicode_normalization::UnicodeNormalization;

/// All words that are there.
fn every_word() -> TextRules {
    TextRules { min_letters: 1, stop_words: false, ..TextRules::default() }
}

/// A paragraph, and its words, in lower case where the script has one.
const PARAGRAPHS: [(&str, &str, &str); 12] = [
    (
        "Arabic",
        "تقع المدينة القديمة على ضفة النهر، وفيها سوق كبيرة يبيع فيها التجّار الفواكه والخبز. هل زرتَ المكتبة؟ نعم، زرتها أمس (عام 1998).",
        "تقع المدينة القديمة على ضفة النهر وفيها سوق كبيرة يبيع فيها التجّار الفواكه والخبز هل زرتَ المكتبة نعم زرتها أمس عام",
    ),
    (
        "Hindi",
        "विद्यार्थी पुस्तकालय में हिन्दी की किताबें पढ़ते हैं। क्या आपने प्रेमचंद की कहानी पढ़ी? हाँ, मैंने 'ईदगाह' पढ़ी है; वह बहुत अच्छी कहानी है।",
        "विद्यार्थी पुस्तकालय में हिन्दी की किताबें पढ़ते हैं क्या आपने प्रेमचंद की कहानी पढ़ी हाँ मैंने ईदगाह पढ़ी है वह बहुत अच्छी कहानी है",
    ),
    (
        "Tamil",
        "மாணவர்கள் பள்ளியில் தமிழ் மொழியைக் கற்கிறார்கள். ஆசிரியர் ஒரு புத்தகத்தைக் கொடுத்தார்; அவர்கள் அதை வீட்டில் படித்தார்கள். நாளை தேர்வு உண்டு!",
        "மாணவர்கள் பள்ளியில் தமிழ் மொழியைக் கற்கிறார்கள் ஆசிரியர் ஒரு புத்தகத்தைக் கொடுத்தார் அவர்கள் அதை வீட்டில் படித்தார்கள் நாளை தேர்வு உண்டு",
    ),
    (
        "Greek",
        "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας. Ο Οδυσσέας γύρισε στην Ιθάκη ύστερα από είκοσι χρόνια· πού ήταν η Πηνελόπη; ΕΚΕΙ, ΣΤΟ ΠΑΛΑΤΙ ΤΗΣ.",
        "η αθήνα είναι η πρωτεύουσα της ελλάδας ο οδυσσέας γύρισε στην ιθάκη ύστερα από είκοσι χρόνια πού ήταν η πηνελόπη εκει στο παλατι της",
    ),
    (
        "Russian",
        "Съешь ещё этих мягких французских булок, да выпей чаю! Кто-то пришёл вчера, йогурт купил и ушёл в 7 часов; объявление висит у подъезда.",
        "съешь ещё этих мягких французских булок да выпей чаю кто то пришёл вчера йогурт купил и ушёл в часов объявление висит у подъезда",
    ),
    (
        "Turkish",
        "Irmağın kıyısında İZMİRLİ bir balıkçı yaşıyordu. İstanbul'da çalışan kızı, IŞIK adlı gemiyle geldi; ılık bir akşamdı. Çiçekler, güneş, şarkı: her şey güzeldi.",
        "ırmağın kıyısında izmirli bir balıkçı yaşıyordu istanbul'da çalışan kızı ışık adlı gemiyle geldi ılık bir akşamdı çiçekler güneş şarkı her şey güzeldi",
    ),
    (
        "German",
        "Die Donau\u{ad}dampf\u{ad}schiff\u{ad}fahrt fährt über die Flüsse; Käse, Brötchen und Äpfel gibt's an Bord. „Wie heißt die Straße?“, fragte Jürgen um 8 Uhr.",
        "die donaudampfschifffahrt fährt über die flüsse käse brötchen und äpfel gibt an bord wie heißt die straße fragte jürgen um uhr",
    ),
    (
        "Vietnamese",
        "Hà Nội là thủ đô của nước Việt Nam. Người dân ở đây thích uống cà phê vào buổi sáng, rồi đi làm bằng xe máy; trường học mở cửa lúc 7 giờ.",
        "hà nội là thủ đô của nước việt nam người dân ở đây thích uống cà phê vào buổi sáng rồi đi làm bằng xe máy trường học mở cửa lúc giờ",
    ),
    (
        "Korean",
        "서울은 대한민국의 수도입니다. 학생들이 도서관에서 책을 읽고, 저녁에는 한강을 걷습니다. '내일 비가 올까요?' 아니요, 날씨가 맑을 것입니다!",
        "서울은 대한민국의 수도입니다 학생들이 도서관에서 책을 읽고 저녁에는 한강을 걷습니다 내일 비가 올까요 아니요 날씨가 맑을 것입니다",
    ),
    (
        "Hebrew",
        "הילדים הלכו לבית־הספר ולמדו עברית. צה\"ל ורמטכ״ל הם ראשי תיבות; ג׳ירפה היא חיה גבוהה. שָׁלוֹם לכולם! מי קרא את הספר החדש?",
        "הילדים הלכו לבית הספר ולמדו עברית צה\"ל ורמטכ״ל הם ראשי תיבות ג׳ירפה היא חיה גבוהה שָׁלוֹם לכולם מי קרא את הספר החדש",
    ),
    (
        "Armenian",
        "Երևանը Հայաստանի մայրաքաղաքն է։ Ինչո՞ւ են մարդիկ սիրում լեռները։ Արարատ լեռը շատ գեղեցիկ է, իսկ Սևանա լիճը՝ խորը և կապույտ։ Եկե՛ք մեզ մոտ։",
        "երևանը հայաստանի մայրաքաղաքն է ինչու են մարդիկ սիրում լեռները արարատ լեռը շատ գեղեցիկ է իսկ սևանա լիճը խորը և կապույտ եկեք մեզ մոտ",
    ),
    (
        "Georgian",
        "თბილისი საქართველოს დედაქალაქია. მდინარე მტკვარი ქალაქის შუაგულში მიედინება; ძველ უბანში ბევრი ეკლესია დგას. „სად წახვედი გუშინ?“ — ᲡᲐᲮᲚᲨᲘ ვიყავი.",
        "თბილისი საქართველოს დედაქალაქია მდინარე მტკვარი ქალაქის შუაგულში მიედინება ძველ უბანში ბევრი ეკლესია დგას სად წახვედი გუშინ სახლში ვიყავი",
    ),
];

#[test]
fn readers_of_twelve_languages_find_their_words() {
    let rules = every_word();
    for (language, text, words) in PARAGRAPHS {
        let words: Vec<String> = words.nfc().collect::<String>().split(' ').map(String::from).collect();
        assert!(words.len() >= 15, "{language}: {}", words.len());
        for form in [text.into(), text.nfc().collect::<String>(), text.nfd().collect()] {
            assert_eq!(rules.words(&form).collect::<Vec<_>>(), words, "{language}");
        }
        // Each is found again, alone and in capitals, where these can be told from others: Greek leaves accents out of them, German has no capital sharp s.
        let mut distinct = words.clone();
        distinct.sort();
        distinct.dedup();
        let vocabulary = Vocabulary::new(distinct.clone(), rules.clone()).unwrap();
        for word in &distinct {
            let found = vocabulary.encode(word);
            assert_eq!((found.document.len(), found.unknown), (1, 0), "{language}: {word}");
        }
        let whole = vocabulary.encode(&text.nfd().collect::<String>());
        assert_eq!((whole.document.len(), whole.unknown), (distinct.len(), 0), "{language}");
    }
}

#[test]
fn capitals_are_the_same_words() {
    for (language, text, words) in PARAGRAPHS {
        if matches!(language, "German" | "Turkish" | "Armenian") {
            continue;
        }
        let words: Vec<String> = words.nfc().collect::<String>().split(' ').map(String::from).collect();
        let capitals = text.to_uppercase();
        assert_eq!(every_word().words(&capitals).collect::<Vec<_>>(), words, "{language}");
    }
}

/// Words of two letters, where a script writes words with so few, are words by default.
#[test]
fn short_words_are_kept_where_a_script_has_them() {
    let rules = TextRules::default();
    for (text, words) in [
        ("中文 学习 的 我们", "中文 学习 我们"),
        ("학교 물 바다", "학교 바다"),
        ("घर में जल है पुस्तक", "घर जल पुस्तक"),
        ("יד ים בית", "יד ים בית"),
        ("ภาษา ไทย ดี", "ภาษา ไทย"),
        ("ab abc ба баба", "abc баба"),
    ] {
        assert_eq!(rules.words(text).collect::<Vec<_>>().join(" "), words);
    }
}
