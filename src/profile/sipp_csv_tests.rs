//! Injection files as SIPp's users write them, and as nobody should.

use super::*;
use proptest::prelude::*;

/// User, authentication name and password of each row.
type Read = Vec<(String, Option<String>, Option<String>)>;

fn read_field(text: &str, user_field: usize) -> Result<Read, String> {
    let shown = |wrong: WrongLine| format!("line {}: {}", wrong.line, wrong.message);
    let file = Injection::open(text.as_bytes()).map_err(shown)?;
    let rows = (0..file.len()).map(|n| file.row(n, user_field).map(|(_, row)| row));
    rows.map(|row| {
        row.map(|row| (row.user, row.auth_user, row.password.map(|secret| secret.reveal().to_owned()))).map_err(shown)
    })
    .collect()
}

fn read(text: &str) -> Result<Read, String> {
    read_field(text, 0)
}

fn row(user: &str, auth_user: &str, password: &str) -> (String, Option<String>, Option<String>) {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    (user.to_owned(), some(auth_user), some(password))
}

#[test]
fn an_everyday_file() {
    let text = "SEQUENTIAL\r\n# user; domain; credentials\r\nalice;example.test;[authentication username=alice-a password=secret]\r\n\
                bob;example.test;[authentication username=bob password=s3c=r;et];x\n\r\n\
                carol;[authentication password=\"a \\\"b\\\" ]c\"]; tail\ndave;example.test";
    let rows = read(&text.replace("=r;et", "=r&et")).expect("sound");
    assert_eq!(
        rows,
        [
            row("alice", "alice-a", "secret"),
            row("bob", "bob", "s3c=r&et"),
            row("carol", "", "a \"b\" ]c"),
            row("dave", "", "")
        ]
    );
    let file = Injection::open(text.as_bytes()).expect("sound");
    assert_eq!((file.order, file.gap, file.len(), file.written()), (InjectionOrder::Sequential, Some(5), 4, 4));
    assert_eq!(file.row(2, 0).map(|(line, _)| line), Ok(6));
}

#[test]
fn the_first_line() {
    let order =
        |line: &str| Injection::open(format!("{line}\na\n").as_bytes()).map(|file| (file.order, file.numbering));
    let numbering = |count, offset, multiple| Some(Numbering { count, offset, multiple });
    for (line, expected) in [
        ("SEQUENTIAL", (InjectionOrder::Sequential, None)),
        ("\u{feff}RANDOM\r", (InjectionOrder::Random, None)),
        ("USER;;", (InjectionOrder::User, None)),
        ("SEQUENTIAL,PRINTF=100", (InjectionOrder::Sequential, numbering(100, 0, 1))),
        ("USER, PRINTFMULTIPLE=2,PRINTFOFFSET=0x10,PRINTF=010", (InjectionOrder::User, numbering(8, 16, 2))),
        ("SEQUENTIAL,PRINTF=1,PRINTFOFFSET=0", (InjectionOrder::Sequential, numbering(1, 0, 1))),
    ] {
        assert_eq!(order(line), Ok(expected), "{line}");
    }
    for (line, message) in [
        ("", "an injection file begins with SEQUENTIAL, RANDOM or USER"),
        ("alice;USERS", "an injection file begins with SEQUENTIAL, RANDOM or USER"),
        ("sequential", "an injection file begins with SEQUENTIAL, RANDOM or USER"),
        ("USER,PRINTF", "PRINTF has no value; write PRINTF=n"),
        ("USER,PRINTF=0", "PRINTF must be at least 1"),
        ("USER,PRINTF=+1", "PRINTF must be a number of at most 32 bits"),
        ("USER,PRINTF=9x", "PRINTF must be a number of at most 32 bits"),
        ("USER,PRINTF=4294967296", "PRINTF must be a number of at most 32 bits"),
        ("USER,PRINTFOFFSET=3", "PRINTFOFFSET and PRINTFMULTIPLE need PRINTF=n"),
        ("USER,PRINTFSTEP=3", "PRINTFSTEP is unknown; there are PRINTF, PRINTFOFFSET and PRINTFMULTIPLE"),
    ] {
        assert_eq!(order(line), Err(WrongLine { line: 1, message: message.to_owned() }), "{line}");
    }
    assert_eq!(read("SEQUENTIAL\n# only\n\n"), Err("line 1: no rows follow the first line".to_owned()));
}

#[test]
fn another_field_may_hold_the_user() {
    let text = "USER\n[authentication username=a password=p]; 100 ;x\n";
    assert_eq!(read_field(text, 1), Ok(vec![row("100", "a", "p")]));
    assert_eq!(read_field(text, 3), Err("line 2: has 3 fields, none numbered 3".to_owned()));
}

#[test]
fn values_in_every_dress() {
    for (keyword, auth_user, password) in [
        ("[authentication]", "", ""),
        ("[authentication username=a]", "a", ""),
        ("[authentication username= password=\"\"]", "", ""),
        ("[authentication  password=p\tusername=a ]rest", "a", "p"),
        ("before [authentication username=a password=p] after", "a", "p"),
        ("[authentication username=a password=0x7033623b]", "a", "p3b;"),
        ("[authentication username=\"a\" password=\"0x70\"]", "a", "0x70"),
        ("[authentication aka_K=0x00 username=a@b password=p aka_OP=x flag]", "a@b", "p"),
        ("[authentication username=a username=b password=p password=q]", "a", "p"),
        ("[authentication xusername=x username=a password==]", "a", "="),
    ] {
        assert_eq!(read(&format!("USER\nu;{keyword}\n")), Ok(vec![row("u", auth_user, password)]), "{keyword}");
    }
}

#[test]
fn a_printf_file_counts() {
    let text = "SEQUENTIAL,PRINTF=5,PRINTFOFFSET=98,PRINTFMULTIPLE=2\n\
                a%05d;%d;[authentication username=u%.3d password=p%%%-4d]\n\
                # in between\n\
                b%3d-\n";
    assert_eq!(
        read(text),
        Ok(vec![
            row("a00098", "u098", "p%98"),
            row("b100-", "", ""),
            row("a00102", "u102", "p%102"),
            row("b104-", "", ""),
            row("a00106", "u106", "p%106"),
        ])
    );
    for (row, message) in [
        ("a%", "line 2: has a % that is not %d with a width, like %05d"),
        ("a%s", "line 2: has a % that is not %d with a width, like %05d"),
        ("a%;d", "line 2: has a % that is not %d with a width, like %05d"),
        ("a%999999999d", "line 2: has the unusable format %999999999d"),
        ("a%1-2d", "line 2: has the unusable format %1-2d"),
        ("a%1.2.3d", "line 2: has the unusable format %1.2.3d"),
    ] {
        assert_eq!(read(&format!("USER,PRINTF=2\n{row}\n")), Err(message.to_owned()), "{row}");
    }
    // Without PRINTF a per cent sign is itself.
    assert_eq!(read("USER\na%05d\n"), Ok(vec![row("a%05d", "", "")]));
}

#[test]
fn what_is_wrong_names_its_line_and_no_secret() {
    for (row, message) in [
        ("u;[authentication username=a password=hunter2", "[authentication …] without its closing bracket"),
        ("u;[authentication username=a password=hunter2;x]", "[authentication …] without its closing bracket"),
        ("u;[authentication username=a password=\"hunter2]", "a quote that is never closed"),
        ("u;[authentication username=a password=0xff]", "a value in hex that is not UTF-8 text"),
    ] {
        let error = read(&format!("USER\nok\n{row}\n")).expect_err(row);
        assert!(error.starts_with("line 3: has ") && error.contains(message), "{row}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let file = Injection::open(b"USER\n\xff\n").expect("a header");
    assert_eq!(file.row(0, 0), Err(WrongLine { line: 2, message: "is not UTF-8 text".to_owned() }));
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..120), field in 0usize..4) {
        for head in [&b""[..], b"USER\n", b"RANDOM,PRINTF=7\n"] {
            let text = [head, &bytes].concat();
            if let Ok(file) = Injection::open(&text) {
                prop_assert!(file.len() > 0 && file.written() <= file.len());
                for n in 0..file.written() {
                    let _ = file.row(n, field);
                }
            }
        }
    }

    #[test]
    fn never_panics_on_likely_text(rows in "(\\[authentication|username=|password=|0x|%[-.0-9]{0,4}|[\"\\\\\\];=#d \r\n]|é|a){0,24}", count in 1u32..5) {
        let text = format!("USER,PRINTF={count},PRINTFOFFSET=4294967295,PRINTFMULTIPLE=4294967295\n{rows}");
        if let Ok(file) = Injection::open(text.as_bytes()) {
            for n in 0..file.len() {
                if let Err(wrong) = file.row(n, 0) {
                    prop_assert!(wrong.line >= 2 && wrong.line <= text.lines().count());
                }
            }
        }
    }

    /// What was meant comes back, however it is quoted.
    #[test]
    fn rows_come_back(
        rows in proptest::collection::vec(("[a-z][a-z0-9+._-]{0,12}", "[!-~]{1,12}", 0usize..3, any::<bool>()), 1..8),
    ) {
        let mut text = "SEQUENTIAL\n".to_owned();
        let mut expected = Vec::new();
        for (user, password, dress, crlf) in rows {
            let password = password.replace(';', ":");
            let hex = password.bytes().map(|b| format!("{b:02x}")).collect::<String>();
            let bare = !password.contains(']') && !password.starts_with('"') && !password.starts_with("0x");
            let written = match dress {
                0 if bare => password.clone(),
                1 => format!("0x{hex}"),
                _ => format!("\"{}\"", password.replace('\\', "\\\\").replace('"', "\\\"")),
            };
            text += &format!("{user};d;[authentication username={user}-a password={written}]{}", if crlf { "\r\n" } else { "\n" });
            expected.push(row(&user, &format!("{user}-a"), &password));
        }
        prop_assert_eq!(read(&text), Ok(expected), "{}", text);
    }
}
