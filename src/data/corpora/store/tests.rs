use super::*;
use crate::data::Documents;

/// Makes a store of documents with labels of `label` bytes.
fn filled(folder: &Path, documents: u32, label: usize) -> Store {
    let mut writer = Writer::create(&folder.join("documents")).unwrap();
    for number in 0..documents {
        let document = (0..5).map(|word| (1 + word * 20_000 + number % 97, 1 + (number + word) % 300)).collect();
        writer.push(document, (number % 3 > 0).then_some(&"x".repeat(label))).unwrap();
    }
    writer.finish(1).unwrap()
}

#[test]
fn an_epoch_reads_every_block_once_and_keeps_a_bounded_number() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), 12_000, 1000);
    assert!(store.blocks.len() > CACHED_BLOCKS + MIXED_BLOCKS, "{} blocks", store.blocks.len());
    let order = store.order(3, 1);
    for &number in &order {
        let expected =
            (0..5).map(|word| (word * 20_000 + number as u32 % 97, 1 + (number as u32 + word) % 300)).collect();
        assert_eq!(store.with(number as usize, Rows::get).unwrap(), Some(expected));
        assert!(store.cache.lock().unwrap().blocks.len() <= CACHED_BLOCKS);
    }
    assert_eq!(store.cache.lock().unwrap().reads, store.blocks.len() as u64);
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..12_000).collect::<Vec<i64>>());
    assert_eq!(order, store.order(3, 1));
    assert_ne!(order, store.order(3, 2));
    assert_ne!(order, store.order(4, 1));
    // Neighbours in the file are far apart.
    let apart = |pair: &&[i64]| (pair[0] - pair[1]).abs() > 400;
    assert!(order.windows(2).filter(apart).count() > 10_000);
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents");
    let whole = Documents::from_store(filled(folder.path(), 20, 5));
    let expected: Vec<_> = whole.iter().map(Result::unwrap).collect();
    assert_eq!(expected[19], (0..5).map(|word| (word * 20_000 + 19, 20 + word)).collect::<Vec<_>>());
    assert_eq!(whole.largest_word(), Some(80_019));
    let bytes = std::fs::read(&path).unwrap();
    let is_read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        Store::open(&path).and_then(|store| Documents::from_store(store).iter().collect::<Result<Vec<_>>>()).is_ok()
    };
    for length in 0..bytes.len() {
        assert!(!is_read(&bytes[..length]), "{length} bytes were accepted");
    }
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(!is_read(&changed), "bit {bit} was not noticed");
    }
    assert!(is_read(&bytes));
}

#[test]
fn an_unfinished_file_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(&folder.path().join("documents")).unwrap();
    writer.push(vec![(0, 1)], None).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(Store::open(&folder.path().join("documents")).is_err());
}
