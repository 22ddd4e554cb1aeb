//! Edits in a table: what goes in, and that it comes out again without a trace.
//!
//! Invariant under test: the text without the entry is, byte for byte, the text
//! from before. Files and their replacement are not part of it.

#![expect(clippy::unwrap_used, reason = "a failed test should stop here")]

use super::*;

fn ours() -> Entry {
    Entry::plugin("/data/p", Some("/bin/o"))
}

const OURS: &str = r#"["/data/p", { "command": "/bin/o" }]"#;

#[test]
fn an_entry_takes_the_form_of_its_neighbours() {
    let table = [
        ("{}", format!("{{\"plugin\": [{OURS}]}}")),
        ("{\n}\n", format!("{{\n  \"plugin\": [{OURS}]\n}}\n")),
        ("{\"plugin\": []}", format!("{{\"plugin\": [{OURS}]}}")),
        (
            "{\"plugin\": [\"a\"]}",
            format!("{{\"plugin\": [\"a\", {OURS}]}}"),
        ),
        (
            "{\"plugin\": [\"a\",]}",
            format!("{{\"plugin\": [\"a\", {OURS},]}}"),
        ),
        (
            "{\n\t\"plugin\": [\n\t\t\"a\" // mine\n\t],\n\t\"x\": 1\n}",
            format!("{{\n\t\"plugin\": [\n\t\t\"a\", // mine\n\t\t{OURS}\n\t],\n\t\"x\": 1\n}}"),
        ),
        (
            "{\r\n  // first\r\n  \"x\": [1, 2], // two\r\n}\r\n",
            format!(
                "{{\r\n  // first\r\n  \"x\": [1, 2], // two\r\n  \"plugin\": [{OURS}],\r\n}}\r\n"
            ),
        ),
        ("", format!("{{\n  \"plugin\": [{OURS}]\n}}")),
        (
            "// nothing yet\n",
            format!("// nothing yet\n{{\n  \"plugin\": [{OURS}]\n}}\n"),
        ),
    ];
    for (text, expected) in table {
        let put = put(text, &ours(), None).unwrap();
        assert_eq!(put.text, expected, "{text:?}");
    }
}

#[test]
fn what_was_put_in_comes_out_without_a_trace() {
    let frames = [
        "{}",
        "{ }",
        "{\n}",
        "{ // a comment\n}\n",
        "{ /* a comment */ }",
        "{\"a\": 1}",
        "{ \"a\": 1, }",
        "{\n    \"a\": 1\n}\n",
        "{\n    \"a\": 1,\n    // the last word\n}\n",
        "{\r\n\t\"a\": {\"b\": [1,]} /* c */, // d\r\n}",
        "\u{feff}{\n  \"a\": \"\\u0041 // no comment\"\n}",
        "{\"plugin\": []}",
        "{\"plugin\": [\n]}",
        "{\"plugin\": [ // none\n  ], \"a\": 1}",
        "{\"plugin\": [ /* none */ ]}",
        "{\"plugin\": [\"a\"]}",
        "{\"plugin\":[\"a\",\"b\" , ] }",
        "{\"plugin\": [\"a\" // about a\n]}",
        "{\n  \"plugin\": [\n    \"a\",\n    [\"b\", {\"c\": 1}] // about b\n    // the end\n  ]\n}",
        "{\n  \"plugin\": [\n    \"a\", /* about\n a */\n  ],\n}",
        "{\n  \"plugin\": [ \"a\",\n    \"b\" ], \"mcp\": {}\n}",
        "{\"mcp\": {\"other\": {\"type\": \"local\", \"command\": []}}}",
        "{\n  \"mcp\": {\n    \"other\": {} // other\n  }\n}\n",
    ];
    for text in frames {
        for entry in [
            ours(),
            Entry::plugin("openshell-opencode", None),
            Entry::mcp("/bin/o"),
        ] {
            let added = put(text, &entry, None).unwrap();
            assert_ne!(added.text, text);
            // Again makes no difference.
            assert_eq!(put(&added.text, &entry, None).unwrap().text, added.text);
            let back = take(&added.text, entry.section, &entry.name, added.made_section);
            assert_eq!(back.unwrap().as_deref(), Some(text), "{:?}", added.text);
            let gone = take(text, entry.section, &entry.name, false).unwrap();
            assert_eq!(gone, None);
        }
    }
}

#[test]
fn only_ours_goes_when_others_came_since() {
    let table = [
        (
            format!("{{\"plugin\": [{OURS}, \"later\"]}}"),
            "{\"plugin\": [\"later\"]}",
        ),
        (
            format!("{{\"plugin\": [\n  {OURS}, // mine\n  \"later\"\n]}}"),
            "{\"plugin\": [ // mine\n  \"later\"\n]}",
        ),
        (
            format!("{{\"plugin\": [ {OURS} /* why */ , \"later\" ]}}"),
            "{\"plugin\": [  /* why */ \"later\" ]}",
        ),
        // Options that somebody added belong to the entry.
        (
            "{\"plugin\": [[\"/data/p\", {\"command\": \"/x\", \"more\": 1}]], \"b\": 2}"
                .to_owned(),
            "{\"b\": 2}",
        ),
        (
            format!("{{\"a\": 1, \"plugin\": [{OURS}], \"b\": 2}}"),
            "{\"a\": 1, \"b\": 2}",
        ),
    ];
    for (text, expected) in table {
        let left = take(&text, Section::Plugin, "/data/p", true).unwrap();
        assert_eq!(left.as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_new_version_takes_the_place_of_the_old_one() {
    let text = "{\"plugin\": [\"a\", [\"/data/old\", {}], /* between */ \"b\"]}";
    let put = put(text, &ours(), Some("/data/old")).unwrap();
    assert_eq!(
        put.text,
        format!("{{\"plugin\": [\"a\", {OURS}, /* between */ \"b\"]}}")
    );
}

#[test]
fn what_cannot_be_read_is_not_edited() {
    let unparsable = |line, column| {
        move |error: EditError| match error {
            EditError::Unparsable {
                line: at,
                column: behind,
                ..
            } => (at, behind) == (line, column),
            _ => false,
        }
    };
    type Check = Box<dyn Fn(EditError) -> bool>;
    let table: Vec<(&str, Check)> = vec![
        ("{\n  \"a\": ,\n}", Box::new(unparsable(2, 8))),
        (
            "{\"a\": 1",
            Box::new(|error| matches!(error, EditError::Unparsable { .. })),
        ),
        ("{a: 1}", Box::new(unparsable(1, 2))),
        ("{'a': 1}", Box::new(unparsable(1, 2))),
        (
            "{\"a\": 1 \"b\": 2}",
            Box::new(|error| matches!(error, EditError::Unparsable { .. })),
        ),
        (
            "[1]",
            Box::new(|error| matches!(error, EditError::WrongKind { .. })),
        ),
        (
            "{\"plugin\": \"a\"}",
            Box::new(|error| matches!(error, EditError::WrongKind { .. })),
        ),
        (
            "{\"plugin\": [], \"plugin\": []}",
            Box::new(|error| error == EditError::Twice("plugin")),
        ),
    ];
    for (text, check) in table {
        let error = put(text, &ours(), None).unwrap_err();
        let said = format!("{text:?}: {error:?}");
        assert!(check(error), "{said}");
    }
    let taken = "{\"mcp\": {\"openshell\": {\"type\": \"remote\", \"url\": \"x\"}}}";
    assert_eq!(put(taken, &Entry::mcp("/o"), None), Err(EditError::Taken));
}

#[test]
fn a_new_file_is_what_an_emptied_one_is_told_by() {
    let text = fresh(&ours());
    assert_eq!(plugins(&value(&text).unwrap())[0].0, "/data/p");
    let left = take(&text, Section::Plugin, "/data/p", true).unwrap();
    assert!(is_bare(&left.unwrap()));
    assert!(!is_bare(&text));
    assert!(!is_bare("{\"$schema\": \"x\"}"));
}
