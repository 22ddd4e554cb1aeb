//! What the lexer decodes, what it reports, and what it leaves to the host.
//!
//! They prove which words count as literal; whether real shells agree is put to
//! those in `shells`, and nothing is decided on a command.

use super::super::lex::{Token, lex};

fn words(text: &str) -> Vec<String> {
    let lexed = lex(text);
    assert!(
        lexed.opaque.is_none() && lexed.malformed.is_none(),
        "{text:?}: {lexed:?}"
    );
    lexed
        .tokens
        .into_iter()
        .map(|token| match token {
            Token::Word(word) => word.text,
            Token::Operator(operator) => operator.to_owned(),
        })
        .collect()
}

#[test]
fn decodes_quotes() {
    let cases: &[(&str, &[&str])] = &[
        ("a  b\tc", &["a", "b", "c"]),
        ("find . -ex\\ec", &["find", ".", "-exec"]),
        (r#"a'b c'"d e"\ f"#, &["ab cd e f"]),
        ("'' \"\"", &["", ""]),
        (r#""\$ \a \\ \"""#, &["$ \\a \\ \""]),
        (r#"grep "x$" y$ "a$|b""#, &["grep", "x$", "y$", "a$|b"]),
        (r#"a 2>b 3"#, &["a", ">", "b", "3"]),
        (
            "a&&b||c;d|e",
            &["a", "&&", "b", "||", "c", ";", "d", "|", "e"],
        ),
        ("find ! -name x", &["find", "!", "-name", "x"]),
        ("[ -f x ]", &["[", "-f", "x", "]"]),
        (
            "a~b c^d e#f g=h %i @j +k =",
            &["a~b", "c^d", "e#f", "g=h", "%i", "@j", "+k", "="],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(&words(text), expected, "{text:?}");
    }
}

#[test]
fn reports_what_is_not_literal() {
    let cases: &[(&str, &str)] = &[
        ("$'\\x75'", "scan.quoting"),
        ("$\"x\"", "scan.quoting"),
        ("ls $HOME", "scan.expansion"),
        ("ls \"$HOME\"", "scan.expansion"),
        ("ls \"`id`\"", "scan.substitution"),
        ("ls $(id)", "scan.substitution"),
        ("a\\\nb", "scan.continuation"),
        ("\"a\\\nb\"", "scan.continuation"),
        ("'a\nb'", "scan.newline"),
        ("a {b,c}", "scan.brace"),
        ("ls ~root", "scan.tilde"),
        ("ls --x=~/a", "scan.tilde"),
        ("ls PATH:~/a", "scan.tilde"),
        ("=ls", "scan.equals"),
        ("a # b", "scan.comment"),
        ("! a", "scan.bang"),
        ("a b!c", "scan.bang"),
        ("a [!b]", "scan.bracket"),
        ("a [b", "scan.bracket"),
        ("a b]", "scan.bracket"),
        ("a [[:alpha:]]", "scan.bracket"),
        ("a '*'*", "scan.glob-mixed"),
        ("a '~'/*", "scan.tilde"),
        ("cat <<E\nit's\nE", "scan.redirection"),
    ];
    for (text, rule) in cases {
        let lexed = lex(text);
        assert_eq!(
            lexed.opaque.map(|finding| finding.rule).as_deref(),
            Some(*rule),
            "{text:?}"
        );
        assert!(lexed.malformed.is_none(), "{text:?}");
    }
}

#[test]
fn reports_an_open_end() {
    for text in ["cat 'x", "cat \"x", "cat x\\", "a; b 'c", "cat \"x\\"] {
        assert!(lex(text).malformed.is_some(), "{text:?}");
    }
}

#[test]
fn marks_words_the_host_must_expand() {
    let marks = |text: &str| -> Vec<(bool, bool)> {
        lex(text)
            .tokens
            .iter()
            .filter_map(|token| match token {
                Token::Word(word) => Some((word.glob, word.home)),
                Token::Operator(_) => None,
            })
            .collect()
    };
    assert_eq!(
        marks("/a/*.txt '/a/*' ~/b ~ /c.[0-9] ~/*"),
        [
            (true, false),
            (false, false),
            (false, true),
            (false, true),
            (true, false),
            (true, true)
        ]
    );
}
