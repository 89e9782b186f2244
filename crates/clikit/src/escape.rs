//! Words of strangers as a terminal may show them. Names in images and objects, what registries answer, what pods log: any of it may
//! hold sequences that move the cursor, rename the window, or turn round what stands beside them.

use std::borrow::Cow;

/// Words that stay on their line. What a terminal would obey, or nobody would see, shows as `\u{1b}`; line ends and tabs as `\n`
/// and `\t`.
pub fn escaped(text: &str) -> Cow<'_, str> {
    replaced(text, is_active, as_rust)
}

/// The same for several lines, such as a log: line ends and tabs stay what they are.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_active(c) && !matches!(c, '\n' | '\t'), as_rust)
}

/// The same for JSON, in JSON's own form (`\u001b`), so that it means what it did. Line ends between values stay; in texts there are
/// none.
pub fn escaped_json(text: &str) -> Cow<'_, str> {
    replaced(text, |c| is_active(c) && c != '\n', as_json)
}

/// Controls of a terminal (C0, DEL, C1), what turns the direction of text, what takes no room, and line ends of Unicode's own.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn as_rust(c: char) -> String {
    c.escape_default().to_string()
}

fn as_json(c: char) -> String {
    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
}

/// Nearly all that is ever shown needs nothing, and is not copied.
fn replaced(text: &str, is_meant: impl Fn(char) -> bool, form: fn(char) -> String) -> Cow<'_, str> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(&is_meant);
    if is_plain {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_meant(c) {
            shown.push_str(&form(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_nobody_sees_is_shown() {
        for (text, shown) in [
            ("\u{1b}[2J", r"\u{1b}[2J"),
            ("\u{1b}]0;title\u{7}", r"\u{1b}]0;title\u{7}"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("a\u{85}b\u{80}\u{9f}", r"a\u{85}b\u{80}\u{9f}"),
            ("\u{8}\u{7f}\0\u{1f}", r"\u{8}\u{7f}\u{0}\u{1f}"),
            ("\u{202e}exe.txt\u{2066}", r"\u{202e}exe.txt\u{2066}"),
            ("\u{200e}\u{200f}\u{61c}\u{202a}\u{2069}", r"\u{200e}\u{200f}\u{61c}\u{202a}\u{2069}"),
            ("pay\u{200b}pal\u{feff}\u{2060}", r"pay\u{200b}pal\u{feff}\u{2060}"),
            ("one\u{2028}two\u{2029}", r"one\u{2028}two\u{2029}"),
            ("\u{e0041}", r"\u{e0041}"),
            ("a\r\nb\tc", r"a\r\nb\tc"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn what_is_harmless_stays_and_is_not_copied() {
        for text in ["", "tcpconnect:v1", "C:\\u{1b}", "grüße, мир, 世界, 🐝", "e\u{301}"] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn of_several_lines_only_their_ends_and_tabs_stay() {
        assert_eq!(escaped_lines("one\n\ttwo\r\n\u{1b}c\u{2028}"), "one\n\ttwo\\r\n\\u{1b}c\\u{2028}");
    }

    #[test]
    fn json_stays_what_it_means() {
        assert_eq!(
            escaped_json("{\n  \"a\": \"\u{9b}\u{7f}\u{202e}\u{e0041}é\"\n}"),
            "{\n  \"a\": \"\\u009b\\u007f\\u202e\\udb40\\udc41é\"\n}"
        );
    }

    /// Whatever it is made of, nothing is left that a terminal would obey.
    #[test]
    fn no_character_is_overlooked() {
        for c in (0..=0x2fff).chain(0xfe00..=0xffff).chain(0xe0000..=0xe01ff).filter_map(char::from_u32) {
            let text = c.to_string();
            let (word, lines, json) = (escaped(&text), escaped_lines(&text), escaped_json(&text));
            for shown in [&word, &lines, &json] {
                let is_left = |c: char| is_active(c) && !matches!(c, '\n' | '\t');
                assert!(!shown.contains(is_left), "{:x}", u32::from(c));
            }
            assert!(!word.contains(['\n', '\t']));
        }
    }
}
