//! What docs/EXTENDING.md quotes stands in the code. Its other code is run as a documentation test.

use std::path::Path;

/// Lines without the space around them, so that a quotation may be set further left.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[test]
fn quoted_code_is_that_of_the_stage_and_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let page = read("docs/EXTENDING.md");
    let quoted: Vec<&str> = page
        .split("```text\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    let sources = ["src/store/kind.rs", "src/pipeline/pca.rs"];
    assert_eq!(quoted.len(), sources.len());
    for (quotation, path) in quoted.iter().zip(sources) {
        let (code, quotation) = (read(path), lines(quotation));
        let code = lines(&code);
        let found = code.windows(quotation.len()).any(|window| window == quotation);
        assert!(found, "{path} has no such lines: {quotation:#?}");
    }
}
