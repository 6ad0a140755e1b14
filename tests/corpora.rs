//! Every file of the fuzz targets' corpora goes through the function that its target calls: what
//! once was found, or reaches far, is tried in each build.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

#[test]
fn every_file_of_every_corpus_is_taken() {
    for (name, target) in fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for file in files {
            let file = file.expect("readable").path();
            let bytes = std::fs::read(&file).expect("readable");
            let taken = std::panic::catch_unwind(|| target(&bytes));
            assert!(taken.is_ok(), "{name} does not take {}", file.display());
            count += 1;
        }
        assert!(count >= 10, "{name}: {count} files are no corpus");
    }
}

#[test]
fn every_target_has_a_program_and_a_folder_and_nothing_else_has() {
    let names = |folder: &str, cut: &str| {
        let all = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)).expect("a folder");
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().trim_end_matches(cut).to_owned();
        let mut names: Vec<_> = all.map(|entry| name(entry.expect("readable"))).collect();
        names.sort_unstable();
        names
    };
    let mut targets: Vec<_> = fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort_unstable();
    assert_eq!(names("fuzz_targets", ".rs"), targets);
    assert_eq!(names("corpus", ""), targets);
}
