use proptest::prelude::*;

use super::*;

/// The same rules written down plainly: correct, and quadratic.
mod plain {
    use super::REASONING_TAGS;
    use crate::scan;

    pub(super) fn without_made_images(text: &str) -> String {
        let mut kept = String::new();
        let mut rest = text;
        while let Some(start) = scan::find(rest, "![") {
            let link = &rest[start..];
            let made = removable_link(link).map(|length| &link[..length]).filter(|link| is_made_image(link));
            match made.and_then(|link| scan::split_once(&link[2..], "](").map(|(title, _)| (link.len(), title))) {
                Some((length, title)) => {
                    kept.push_str(&format!("{}[image you made: {title}]", &rest[..start]));
                    rest = &rest[start + length..];
                }
                None => {
                    kept.push_str(&rest[..start + 2]);
                    rest = &rest[start + 2..];
                }
            }
        }
        kept + rest
    }

    fn is_made_image(link: &str) -> bool {
        let name =
            scan::rsplit_once(link, "/images/").and_then(|(_, name)| scan::split_once(name, ".")).map(|(name, _)| name);
        name.is_some_and(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    pub(super) fn without_reasoning(text: &str) -> String {
        let first_block = |text: &str| {
            let blocks = REASONING_TAGS.iter().filter_map(|(open, close)| {
                let start = scan::find(text, open)?;
                Some((start, start + open.len() + scan::find(&text[start + open.len()..], close)? + close.len()))
            });
            blocks.min()
        };
        let mut kept = String::new();
        let mut rest = text;
        while let Some((start, end)) = first_block(rest) {
            kept.push_str(&rest[..start]);
            rest = &rest[end..];
        }
        kept + rest
    }

    pub(super) fn without_links(text: &str) -> String {
        let mut kept = String::new();
        let mut rest = text;
        while let Some(start) = scan::find(rest, "![").into_iter().chain(scan::find(rest, "[[")).min() {
            match removable_link(&rest[start..]) {
                Some(length) => {
                    kept.push_str(&rest[..start]);
                    rest = &rest[start + length..];
                }
                None => {
                    kept.push_str(&rest[..start + 2]);
                    rest = &rest[start + 2..];
                }
            }
        }
        kept + rest
    }

    fn removable_link(text: &str) -> Option<usize> {
        let label_end = if let Some(label) = text.strip_prefix("![") {
            2 + scan::find(label, "](")?
        } else {
            let number = text.strip_prefix("[[")?;
            let digits = number.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || !number[digits..].starts_with("]](") {
                return None;
            }
            2 + digits + 1
        };
        if scan::contains(&text[..label_end], "\n") {
            return None;
        }
        let target = &text[label_end + 2..];
        let end = scan::find_character(target, |character| matches!(character, ')' | '\n'))?;
        target[end..].starts_with(')').then_some(label_end + 2 + end + 1)
    }
}

const ID: &str = "0123456789abcdef0123456789ABCDEF";

/// What these rules look at, and some of what stands between.
fn text() -> impl Strategy<Value = String> {
    let made = format!("/images/{ID}.jpg");
    let mut pieces: Vec<String> = [
        "![",
        "[[",
        "](",
        "]](",
        ")",
        "\n",
        "1",
        "[",
        "]",
        "(",
        "!",
        "a",
        "é",
        "/images/",
        "/images/images/",
        ".",
        "<",
        "[[12]](",
        "![a](",
        "> ",
    ]
    .map(str::to_owned)
    .to_vec();
    pieces.extend([made, ID.to_owned(), format!("![t](h{}/images/{ID}.png)", "")]);
    pieces.extend(REASONING_TAGS.iter().flat_map(|(open, close)| [(*open).to_owned(), (*close).to_owned()]));
    prop::collection::vec(prop::sample::select(pieces), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn one_pass_finds_what_the_plain_rules_find(text in text()) {
        prop_assert_eq!(without_links(&text), plain::without_links(&text));
        prop_assert_eq!(without_made_images(&text), plain::without_made_images(&text));
        prop_assert_eq!(without_reasoning(&text), plain::without_reasoning(&text));
    }
}

#[test]
fn overlapping_links_end_together_and_are_told_apart() {
    let image = format!("![ ![x](/images/{ID}.png) ![y](other/{ID}.png)");
    assert_eq!(without_made_images(&image), format!("[image you made:  ![x] ![y](other/{ID}.png)"));
    let twice = format!("![x](/images/images/{ID}.png)");
    assert_eq!(without_made_images(&twice), "[image you made: x]");
    assert_eq!(without_links("![a ![b](c) [[1]](d) [[2](e) ![f\n](g) ![h](i\n)"), "  [[2](e) ![f\n](g) ![h](i\n)");
}

/// The law of time, and that the counter sees who breaks it.
#[test]
fn one_pass_costs_one_pass_and_the_plain_rules_do_not() {
    let made = format!("/images/{ID}.png");
    let texts = [
        "![a](b)",
        "[[1]](http://a)",
        "<think>a</think>",
        "![](",
        "![",
        "[[1]](",
        "<think>",
        "</think>",
        "![a\n",
        "![](x\n",
    ];
    let texts = texts.map(str::to_owned).into_iter().chain([
        format!("![{made}"),
        format!("{made}![x](/images/"),
        "<think><details type=\"reasoning\"".to_owned(),
    ]);
    let (mut broken, mut kept) = (0, 0);
    for short in texts {
        let text = short.repeat(16 * 1024 / short.len()) + &made;
        type Pass = fn(&str) -> usize;
        let passes: [(Pass, Pass); 3] = [
            (|text| without_links(text).len(), |text| plain::without_links(text).len()),
            (|text| without_made_images(text).len(), |text| plain::without_made_images(text).len()),
            (|text| without_reasoning(text).len(), |text| plain::without_reasoning(text).len()),
        ];
        for (one_pass, plainly) in passes {
            let steps = steps::counted(|| one_pass(&text)).1;
            assert!(steps <= 16 * text.len() as u64, "{short}: {steps}");
            kept += 1;
            broken += usize::from(steps::counted(|| plainly(&text)).1 > 64 * text.len() as u64);
        }
    }
    assert!(broken >= 12, "the counter sees {broken} of {kept}");
}
