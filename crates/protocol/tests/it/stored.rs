//! The stored message at the end: it completes what was streamed and never doubles it.

use proptest::prelude::*;
use protocol::translate::Ending;

use crate::support::{answer_of_frames, citation, soft_stop, stored, token, tokens};

const TAG: &str = r#"<grok:render card_id="a1" card_type="citation_card" type="render_inline_citation"><argument name="citation_id">1</argument></grok:render>"#;

fn message() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => "[a-z é\n<>]{1,12}", 1 => Just(TAG.to_owned()), 1 => Just("<xai:tool_usage_card>x</xai:tool_usage_card>".to_owned())];
    prop::collection::vec(part, 1..8).prop_map(|parts| parts.join(" ."))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// However much of the message was streamed, also if it was cut inside a tag, the client ends with the whole of it.
    #[test]
    fn the_missing_rest_is_added_and_nothing_twice(message in message(), part in 0.0..=1.0f64, lengths in prop::collection::vec(1usize..20, 1..6)) {
        let card = citation("a1", "https://example.org/a");
        let whole = answer_of_frames(&[card.clone(), token(&message), soft_stop(), stored(&message)]);

        let all = tokens(&message, &lengths);
        let streamed = (all.len() as f64 * part) as usize;
        let mut frames = vec![card];
        frames.extend(all[..streamed].iter().map(|text| token(text)));
        frames.extend([soft_stop(), stored(&message)]);
        let partly = answer_of_frames(&frames);

        prop_assert_eq!(partly.text(), whole.text());
        prop_assert_eq!(partly.ending, whole.ending);
    }
}

#[test]
fn a_stored_message_that_differs_changes_nothing() {
    for other in ["something else", "the strea", "The streamed text and more", ""] {
        let answer = answer_of_frames(&[token("the streamed text"), soft_stop(), stored(other)]);
        assert_eq!(answer.text(), "the streamed text", "{other:?}");
        assert_eq!(answer.ending, Ending::Complete, "{other:?}");
    }
}

#[test]
fn the_last_stored_message_that_says_something_counts() {
    let answer = answer_of_frames(&[stored(""), stored("first"), token("fir"), stored("first and second"), stored("")]);
    assert_eq!(answer.text(), "first and second");
    assert_eq!(answer.ending, Ending::Complete);
}

#[test]
fn a_stored_message_alone_makes_an_answer_complete() {
    assert_eq!(answer_of_frames(&[stored("whole")]).ending, Ending::Complete);
    assert_eq!(answer_of_frames(&[token("whole")]).ending, Ending::Truncated);
    assert_eq!(answer_of_frames(&[soft_stop()]).ending, Ending::Empty);
    assert_eq!(answer_of_frames(&[]).ending, Ending::Empty);
}
