//! Texts that make some part of the policy work as hard as it can.
//!
//! Invariant: each family grows with the size it is asked for, up to counts that the
//! policy judges at all, and is never longer than that. It holds no expectation of
//! what the policy says. The suites and the benchmark include this file as well.

/// `head`, then `unit` again and again up to `size` bytes.
fn filled(head: &str, unit: &str, size: usize) -> String {
    let count = size.saturating_sub(head.len()) / unit.len();
    format!("{head}{}", unit.repeat(count))
}

/// Texts that make some part of the policy work as hard as it can.
pub(super) fn hostile(size: usize) -> Vec<(&'static str, String)> {
    let unit = |name, head, unit| (name, filled(head, unit, size));
    let mut texts = vec![
        unit("words", "cat", " a"),
        unit("paths", "cat", " /a/b/c/d/e/f/g/h"),
        unit("deep path", "cat ", "/a"),
        unit("copies", "cat /srv/x", ".bak"),
        unit("copies of names", "cat", " /srv/x.bak.old.1.2.3"),
        unit("one long name", "cat /srv/", "a"),
        unit(
            "long names",
            "cat",
            " /srv/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        unit("patterns", "cat", " /srv/*a*b*c*d*e*f*g*"),
        unit("one pattern", "cat /srv/", "*a"),
        unit("patterns everywhere", "cat", " /*a*/*b*/*c*/*d*"),
        unit("question marks", "cat /srv/", "?"),
        unit("brackets", "cat /srv/", "[ab]"),
        unit("open brackets", "cat /srv/", "["),
        unit("cluster", "ls -", "l"),
        unit("options", "ls", " -l"),
        unit("long options", "ls", " --all"),
        unit("values", "grep -e", " -e x"),
        unit("includes", "grep -r x /srv", " --include=*a*b*c"),
        unit(
            "includes and trees",
            "grep -r --include=*a*b --include=*c*d x",
            " /srv/a",
        ),
        unit("semicolons", "ls", ";"),
        unit("sequences", "ls", ";ls"),
        unit("removals", "rm -r a", ";rm -r a"),
        unit("pipes", "ls", "|ls"),
        unit("assignments", "sudo", " a=1"),
        unit("numbers", "sudo", " 1"),
        unit("wrappers", "sudo", " sudo"),
        unit("options of wrappers", "sudo", " -n -a"),
        unit("scripts", "sh -c 'sh -c x'", ";sh -c 'rm -r x'"),
        unit("one script", "sh -c 'ls", ";ls"),
        unit("functions", "&", "(){"),
        unit("functions on one name", "&a", "(){a "),
        unit("functions in one word", "&(", "aaaaaaaaa(){aaaaaaaaa|"),
        unit("substitutions", "ls ", "$("),
        unit("backquotes", "ls ", "`"),
        unit("quotes", "ls ", "''"),
        unit("double quotes", "ls ", "\"\""),
        unit("escapes", "ls ", "\\a"),
        unit("dollars", "ls ", "$a"),
        unit("redirections", "ls", ">a"),
        unit("line breaks", "ls", "\nls"),
        unit("letters beyond ASCII", "ls ", "é"),
        unit("find tests", "find /srv", " -name x"),
        unit("find starts", "find", " /srv/a/b"),
        unit("test operators", "test a", " -a b"),
        unit("ps letters", "ps ", "a"),
        unit("ps lists", "ps", " -p 1"),
        unit("ip selectors", "ip addr show", " a"),
        unit("sed script", "sed -n '1p", ";1p"),
        unit("sed addresses", "sed -n '", "/a/,/b/p;"),
        unit("awk fields", "awk '{print $1", ",$1"),
        unit("jq filter", "jq '.", "|.a"),
        unit("echo", "echo", " a"),
        unit("unknown", "x", " -a"),
        unit("phrases", "systemctl status", " a"),
        unit("properties", "systemctl show -p A", " -p A"),
        unit("dots", "cat ", "../"),
        unit("current directories", "cat ", "./"),
        unit("slashes", "cat ", "/"),
        unit("diff", "diff", " a"),
        unit("braces", "ls ", "{a,"),
        unit("tildes", "ls", " ~"),
        unit("comments", "ls", " #"),
        unit("parentheses", "", "("),
        unit("parentheses in a command", "ls ", "(("),
        unit("here-documents", "cat", " <<a"),
        unit("here-document", "cat <<a\n", "it's\n"),
        unit("here-strings", "cat", " <<<a"),
        unit("alternating quotes", "ls ", "'a'\"b\""),
        unit("quotes in quotes", "ls ", "'\"'\"'\""),
        unit("backslashes", "ls ", "\\\\"),
        unit("backslashes in quotes", "ls \"", "\\\\"),
        unit("one quoted word", "ls '", "a b"),
        unit("nested braces", "ls ", "{{a,b},"),
        unit("nested subshells", "ls ", "$( "),
        unit("nested groups", "", "{ "),
        unit("conditions", "", "if ls; then "),
        unit("loops", "", "for a in b; do "),
        unit("cases", "", "case a in a) "),
        unit("awk blocks", "awk '", "{if(1){print $1}}"),
        unit("awk parentheses", "awk '{print ", "("),
        unit("awk strings", "awk '{print ", "\"a\" "),
        unit("awk patterns", "awk '", "/a/||"),
        unit("sed blocks", "sed -n '", "/a/{"),
        unit("sed substitutions", "sed '", "s/a/b/;"),
        unit("sed expressions", "sed -n", " -e 1p"),
        unit("jq arrays", "jq '", "["),
        unit("find groups", "find /srv ", "\\( -name a "),
        unit("find negations", "find /srv", " ! -name a"),
        unit("parents", "cat /srv/", "a/../"),
        unit("parents of relative names", "cat", " ../../a"),
        unit("home directories", "cat", " ~/a"),
        unit("dashes", "ls ", "-"),
        unit("values of long options", "ls", " --color=auto"),
        unit("printf", "printf ", "%s\\n"),
        unit("tests in brackets", "[ -f a", " -a -f b"),
        unit("ip words", "ip", " -s"),
        unit("sysctl names", "sysctl", " vm.a"),
        unit("assignments first", "A=b", " A=b"),
        unit("carriage returns", "ls ", "a\r"),
    ];
    // As many of each thing as is judged at all.
    let many = |name, head: &str, one: String, count: usize| {
        (name, format!("{head}{}", one.repeat(count)))
    };
    let glob = "*a?e".repeat(15);
    let deep = "/srv".repeat(31);
    texts.extend([
        many(
            "patterns up to the cap",
            "cat",
            format!(" /srv/{glob}x/{glob}y/{glob}z/{glob}"),
            16,
        ),
        many(
            "unlike patterns up to the cap",
            "cat",
            format!(" /{}{glob}/*", "a/".repeat(24)),
            16,
        ),
        many(
            "paths up to the cap",
            "cat",
            format!(" {deep}/credential.bak.old.1.2.3.orig"),
            128,
        ),
        many(
            "long paths up to the cap",
            "cat",
            format!(" {}", format!("/{}", "e".repeat(120)).repeat(4)),
            128,
        ),
        many(
            "trees up to the cap",
            &format!("grep -r x{}", format!(" --include={glob}").repeat(16)),
            format!(" {deep}"),
            16,
        ),
        many("options up to the cap", "ls", " -laF".to_owned(), 42),
        many(
            "scripts in scripts",
            "",
            "sh -c 'ls;rm -r x'|".to_owned(),
            2000,
        ),
    ]);
    texts.retain(|(_, text)| text.len() <= size);
    for (_, text) in &mut texts {
        // An open quote would end the reading at once.
        for quote in ['\'', '"'] {
            if text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.matches(quote).count() % 2 == 1
            {
                text.pop();
                text.push(quote);
            }
        }
    }
    texts
}
