"""Counts of the built-in Reuters documents, as tests/topics/corpus.rs has them: python3 tests/oracles/reuters.py"""

import gzip
import pathlib

folder = pathlib.Path(__file__).parents[2] / "src/data/reuters"


def lines(name):
    return gzip.open(folder / f"{name}.gz", "rt", encoding="utf-8").read().splitlines()


words = lines("reuters.tokens")
titles = lines("reuters.titles")
documents = [[tuple(map(int, item.split(":"))) for item in line.split()[1:]] for line in lines("reuters.ldac")]
test = documents[9::10]
train = [document for number, document in enumerate(documents) if number % 10 != 9]
print("documents, words, titles:", len(documents), len(words), len(titles))
for name, part in [("train", train), ("test", test)]:
    entries = [(d, w, c) for d, document in enumerate(part) for w, c in sorted(document)]
    print(name, len(part), "documents,", sum(c for _, _, c in entries), "tokens,", len(entries), "entries")
    print("   longest", max(sum(c for _, c in document) for document in part), "weighted", sum((d + 1) * (w + 1) * c for d, w, c in entries))
print("words 0, 1000, 4257:", words[0], words[1000], words[4257])
print("test titles 0, 38:", titles[9], "|", titles[389])
