//! Every fixture, with what a client sees of it: as events, as a stream, and as one answer.

use std::fmt::Write as _;

use protocol::openai::{ChunkMeta, ChunkWriter, CompletionBuilder, ReasoningFormat, TokenCount, Usage};
use protocol::translate::Ending;

use crate::support::{Answer, Fixture, Shown, answer_of, answer_of_messages};

#[test]
fn every_fixture_gives_the_answer_that_was_reviewed() {
    for fixture in Fixture::all() {
        let answer = answer_of([fixture.bytes.as_slice()]);
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(fixture.name.clone(), describe(&answer));
        });
    }
}

#[test]
fn every_conversation_over_the_socket_gives_the_answer_that_was_reviewed() {
    let fixtures = Fixture::all_in("socket/");
    assert!(fixtures.len() > 15, "fixtures are missing: {}", fixtures.len());
    for fixture in fixtures {
        let answer = answer_of_messages(fixture.lines().iter().map(|line| line.as_bytes()));
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(fixture.name.replace('/', "_"), describe(&answer));
        });
    }
}

/// The streamed bytes of one fixture that has everything; the other forms are held to it by laws.
#[test]
fn the_stream_of_a_whole_answer_is_as_reviewed() {
    for (name, reasoning) in [
        ("stream_with_think_tags", ReasoningFormat::ThinkTags),
        ("stream_with_reasoning_content", ReasoningFormat::ReasoningContent),
    ] {
        let answer = answer_of([Fixture::read("new_conversation").bytes.as_slice()]);
        let meta = meta(reasoning);
        let mut out = Vec::new();
        let mut writer = ChunkWriter::new(&meta);
        writer.start(&mut out);
        for shown in &answer.shown {
            writer.event(&shown.as_event(), &mut out);
        }
        writer.finish("stop", Some(&usage(&answer)), &mut out);
        out.extend_from_slice(ChunkWriter::DONE);
        insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(name, String::from_utf8(out).unwrap());
        });
    }
}

#[test]
fn the_whole_answer_is_as_reviewed() {
    let answer = answer_of([Fixture::read("new_conversation").bytes.as_slice()]);
    let meta = meta(ReasoningFormat::ReasoningContent);
    let mut completion = CompletionBuilder::new();
    for shown in &answer.shown {
        completion.event(&shown.as_event());
    }
    let body = completion.finish(&meta, "stop", &usage(&answer));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("completion", serde_json::to_string_pretty(&body).unwrap());
    });
}

fn meta<'a>(reasoning: ReasoningFormat) -> ChunkMeta<'a> {
    ChunkMeta { id: "chatcmpl-1", model: "grok-4.2", created: 1_790_000_000, conversation_id: "conv-1", reasoning }
}

fn usage(answer: &Answer) -> Usage {
    let tokens = |text: &str| {
        let mut count = TokenCount::default();
        count.add(text);
        count.tokens()
    };
    let reasoning_tokens = tokens(&answer.reasoning());
    Usage { prompt_tokens: 12, completion_tokens: tokens(&answer.text()) + reasoning_tokens, reasoning_tokens }
}

/// A form that reads well in a review: one line per event, then what else was learnt.
fn describe(answer: &Answer) -> String {
    let mut text = String::new();
    for shown in &answer.shown {
        match shown {
            Shown::Reasoning(piece) => writeln!(text, "reasoning {piece:?}").unwrap(),
            Shown::Text(piece) => writeln!(text, "text      {piece:?}").unwrap(),
        }
    }
    match &answer.ending {
        Ending::Failed(failure) => {
            writeln!(
                text,
                "ending    failed: {}, {:?}, code {:?}",
                failure.kind.label(),
                failure.message,
                failure.code
            )
            .unwrap();
        }
        ending => writeln!(text, "ending    {ending:?}").unwrap(),
    }
    let ids = &answer.ids;
    writeln!(text, "ids       conversation {:?}, user message {:?}", ids.conversation_id, ids.user_message_id).unwrap();
    writeln!(text, "          answer {:?}, title {:?}", ids.response_id, ids.title).unwrap();
    for source in &answer.sources {
        writeln!(text, "source    {} {:?}", source.url, source.title).unwrap();
    }
    for (kind, count) in &answer.unknown {
        writeln!(text, "unknown   {kind} × {count}: {}", answer.samples[kind]).unwrap();
    }
    if answer.skipped > 0 {
        writeln!(text, "skipped   {}", answer.skipped).unwrap();
    }
    text
}
