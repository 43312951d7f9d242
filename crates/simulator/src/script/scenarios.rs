//! The named scenarios: each fault a gateway must survive, written as steps.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    framing::{NetworkCut, Separator},
    reply::{Reply, When},
    socket_scenarios::unknown_messages,
    step::{
        Chunk, Citation, ImageForm, ImageStage, ImageStep, Script, Severity, Step, Thinking, ThinkingKind, ToolCall,
        ToolResult, tokens_of,
    },
};
use crate::ids;

/// The visible answer of every scenario that is about form and not about text.
pub const SCENARIO_TEXT: &str = "Grüße! The \"quick\" brown fox \\ jumps over 2 < 3 lazy dogs & a 🦊.\nSecond line.";

pub(crate) const CHALLENGE_PAGE: &str = "<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title></head><body>\
<div id=\"challenge-error-text\">Enable JavaScript and cookies to continue</div>\
<script src=\"/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1\"></script></body></html>";

pub(super) const BAD_GATEWAY_PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body>\
<center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>";

pub(super) fn text_tokens() -> Vec<Step> {
    tokens_of(SCENARIO_TEXT).collect()
}

pub(super) fn framed(separator: Separator, cut: NetworkCut) -> Reply {
    Reply::Script(Script::answer(text_tokens()).framed(separator, cut))
}

/// `steps` happen after as many tokens; what follows is what reconnecting replays.
pub(super) fn interrupted(after_tokens: usize, step: Step) -> Reply {
    let mut steps = text_tokens();
    let at = after_tokens.min(steps.len());
    steps.insert(at, step);
    Reply::answer(steps)
}

pub(super) fn failing(when: When, error: Step) -> Reply {
    let mut steps = vec![Step::Opening];
    match when {
        // The upstream sends such an error as the only object.
        When::BeforeText if matches!(error, Step::TopLevelError { .. }) => steps.clear(),
        When::BeforeText => {}
        When::AfterText => steps.extend(text_tokens().into_iter().take(3)),
    }
    steps.push(error);
    Reply::steps(steps)
}

pub(super) fn stream_error(kind: &str, severity: Severity, when: When) -> Reply {
    let message = match kind {
        "usageLimitReached" => "You've reached your usage limit. Please try again later.",
        "concurrencyLimit" | "globalRateLimit" => "Too many requests at once.",
        "beyondContextLength" | "userPromptTooLong" => "The conversation is too long.",
        _ => "Something went wrong while answering.",
    };
    let error = Step::StreamError { kind: kind.to_owned(), message: message.to_owned(), severity };
    match (severity, when) {
        (Severity::Fatal | Severity::Unknown, _) => failing(when, error),
        // A normal error stands next to an answer that goes on.
        (Severity::Normal, When::BeforeText) => Reply::answer([vec![error], text_tokens()].concat()),
        (Severity::Normal, When::AfterText) => Reply::answer([text_tokens(), vec![error]].concat()),
    }
}

pub(super) fn stored_with(members: Value) -> Reply {
    Reply::steps(vec![Step::Opening, Step::SoftStop, Step::StoredWith(members), Step::Title])
}

pub(super) fn usage_limit() -> Reply {
    stored_with(json!({"message": "", "streamErrors": [{
        "message": "You've reached your usage limit for this mode.",
        "severity": "STREAM_ERROR_SEVERITY_NORMAL",
        "usageLimitReached": {"midTurn": false},
    }]}))
}

pub(super) fn late_thinking() -> Reply {
    let mut steps =
        vec![Thinking::header(0, "Thinking about your request"), Thinking::summary(0, "- Early thought.\n")];
    let mut text = text_tokens();
    let tail = text.split_off(3);
    steps.extend(text);
    steps.extend([Thinking::header(1, "Checking the answer"), Thinking::summary(1, "- LATE THOUGHT.\n")]);
    steps.extend(tail);
    Reply::answer(steps)
}

pub(super) fn no_tokens() -> Reply {
    stored_with(json!({"message": SCENARIO_TEXT}))
}

pub(super) fn short_tokens() -> Reply {
    let mut steps = vec![Step::Opening];
    steps.extend(text_tokens().into_iter().take(4));
    steps.extend([Step::SoftStop, Step::StoredWith(json!({"message": SCENARIO_TEXT})), Step::Title]);
    Reply::steps(steps)
}

pub(super) fn placeholder() -> Reply {
    Reply::answer([vec![Step::Placeholder], text_tokens(), vec![Step::Placeholder]].concat())
}

pub(super) fn heartbeats(count: usize, interval: Duration) -> Reply {
    let mut steps = Vec::new();
    for beat in 0..count {
        steps.push(if beat % 2 == 0 { Step::Heartbeat } else { Step::KeepAlive });
        steps.push(Step::Wait(interval));
    }
    steps.extend(text_tokens());
    Reply::answer(steps)
}

pub(super) fn unknown_kinds() -> Reply {
    let chunk = |members: Value, tag: &str| Step::Chunk(Chunk { members, tag: tag.to_owned(), ..Chunk::default() });
    let mut steps = vec![
        chunk(json!({"quantumEntanglement": {"spin": [1, -1], "text": "UNKNOWN MEMBER"}}), ""),
        Step::Raw("this line is not JSON at all".to_owned()),
        Step::Raw(r#"{"result":{"telemetry":{"nested":{"deep":[[[{}]]]}}}}"#.to_owned()),
        Step::Raw(r#"{"result":{}}"#.to_owned()),
        Step::Raw(r#"{"heartbeat":1}"#.to_owned()),
        Step::Card(
            json!({"id": "zz9", "type": "render_hologram", "cardType": "hologram_card", "url": "https://example.org/h"}),
        ),
        Step::Chunk(Chunk {
            members: json!({"token": "UNKNOWN THINKING TAG"}),
            thinking: true,
            tag: "analysis".to_owned(),
            stored_text: String::new(),
        }),
        chunk(json!({"survey": {"id": "1"}, "disclaimer": "", "bannerMessage": null}), ""),
    ];
    steps.extend(unknown_messages());
    steps.extend(text_tokens());
    steps.push(chunk(json!({"effortDecision": {"effort": "LOW", "steerModelId": "grok-4"}}), "from_the_future"));
    Reply::answer(steps)
}

fn characters(text: &str) -> impl Iterator<Item = Step> {
    text.chars().map(|character| Step::Text(character.to_string())).collect::<Vec<_>>().into_iter()
}

pub(super) fn citation_card(card_id: &str, url: &str) -> Step {
    Step::Card(json!({"id": card_id, "type": "render_inline_citation", "cardType": "citation_card", "url": url}))
}

pub(super) fn citation(card_id: &str, url: &str, citation_id: u32) -> Step {
    Step::Citation(Citation::web(card_id, url, citation_id))
}

/// Visible: `High: 4806 m, <grok:renderer> and a<b stay <`, with a link after `m` where citations are shown.
pub(super) fn split_tags() -> Reply {
    let mut steps = vec![citation_card("9af310", "https://example.org/alps")];
    steps.extend(characters(
        "High: 4806 m<grok:render card_id=\"9af310\" card_type=\"citation_card\" type=\"render_inline_citation\">\
         <argument name=\"citation_id\">12</argument></grok:render>, <grok:renderer> and a<b stay \
         <grok:render card_id=\"x\" card_type=\"image_card\" /><",
    ));
    Reply::answer(steps)
}

/// Visible: `Before. After.` and nothing else, in tokens and in the stored answer.
pub(super) fn tool_leak() -> Reply {
    let card = "<xai:tool_usage_card>\n  <xai:tool_usage_card_id>7f6e5d4c-3b2a-4190-8f7e-6d5c4b3a2910</xai:tool_usage_card_id>\n  \
                <xai:tool_name>chatroom_send</xai:tool_name>\n  <xai:tool_args><![CDATA[{\"message\":\"SECRET DRAFT <b/> [[x]] > \
                </xai:tool_args>\",\"to\":\"All\"}]]></xai:tool_args>\n</xai:tool_usage_card>";
    let mut steps = vec![Step::Text("Before.".to_owned())];
    let mut rest = card;
    // Pieces of seven bytes cut the tag names and the CDATA in odd places; the text is ASCII.
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(rest.len().min(7));
        steps.push(Step::Text(piece.to_owned()));
        rest = tail;
    }
    steps.push(Step::Text(" After.".to_owned()));
    Reply::answer(steps)
}

/// Visible: [`SCENARIO_TEXT`]; the thinking channel has an open tag of its own meanwhile.
pub(super) fn interleave() -> Reply {
    let agent = |rollout: &str, step, kind, text: &str| {
        Step::Thinking(Thinking { kind, text: text.to_owned(), step, rollout: rollout.to_owned() })
    };
    let mut steps = vec![
        Step::Chunk(Chunk {
            members: json!({"uiLayout": {"reasoningUiLayout": "HEAVY", "willThinkLong": true, "effort": "HIGH", "steerModelId": "",
                "rolloutIds": ["Grok", "Agent 1", "Agent 2"]}}),
            ..Chunk::default()
        }),
        agent("Grok", 0, ThinkingKind::Header, "Thinking about your request"),
        agent("Agent 1", 0, ThinkingKind::Header, "Looking at the fox"),
        agent("Agent 2", 0, ThinkingKind::Summary, "- Counting dogs"),
        Step::ToolCall(ToolCall {
            id: ids::fresh(),
            name: "chatroom_send".to_owned(),
            arguments: json!({"message": "SECRET DRAFT of the answer", "to": "Grok"}),
            step: 1,
            rollout: "Agent 1".to_owned(),
        }),
        agent("Grok", 1, ThinkingKind::Raw, "An open tag <grok:render card_id=\"q1\" card"),
    ];
    for (index, token) in text_tokens().into_iter().enumerate() {
        steps.push(token);
        match index {
            0 => steps.push(agent("Grok", 1, ThinkingKind::Raw, "_type=\"citation_card\"></grok:re")),
            1 => steps.push(agent("Grok", 1, ThinkingKind::Raw, "nder> closed")),
            2 => steps.push(agent("Agent 2", 1, ThinkingKind::Summary, "- Two dogs\n")),
            _ => {}
        }
    }
    Reply::answer(steps)
}

/// Visible: [`SCENARIO_TEXT`], nothing of the other alternative.
pub(super) fn side_by_side() -> Reply {
    let mut steps = Vec::new();
    for token in text_tokens() {
        let Step::Text(text) = token else { continue };
        let members = json!({"token": text, "sideBySideIndex": 0});
        let first = Chunk { members, thinking: false, tag: "final".to_owned(), stored_text: text };
        steps.extend([Step::Chunk(first), Step::Alternative("OTHER ".to_owned())]);
    }
    Reply::answer(steps)
}

/// Visible: `Mont Blanc[1] is high[2], very[1].` with links for the numbers.
pub(super) fn citations() -> Reply {
    let text = |text: &str| Step::Text(text.to_owned());
    let search = ids::fresh();
    Reply::answer(vec![
        Step::ToolCall(web_search(&search, "height of mont blanc")),
        Step::ToolResult(web_results(&search)),
        text("Mont Blanc"),
        citation("9af310", "https://example.org/alps", 0),
        text(" is high"),
        citation("9af311", "https://example.org/peaks", 1),
        text(", very"),
        citation("9af312", "https://example.org/alps", 0),
        text("."),
    ])
}

pub(super) fn web_search(id: &str, query: &str) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: "web_search".to_owned(),
        arguments: json!({"query": query, "num_results": "10"}),
        step: 1,
        rollout: String::new(),
    }
}

pub(super) fn web_results(id: &str) -> ToolResult {
    let source = |url: &str, title: &str, preview: &str| {
        json!({"url": url, "title": title, "preview": preview, "searchEngineText": "", "description": "", "siteName": "",
            "metadataTitle": "", "creator": "", "image": "", "favicon": "", "citationId": ""})
    };
    ToolResult {
        id: id.to_owned(),
        members: json!({"webSearchResults": {"results": [
            source("https://example.org/alps", "The Alps", "Mont Blanc, 4805.59 m …"),
            source("https://example.org/peaks", "Peaks of Europe", "A list by height."),
        ]}}),
        step: 1,
        rollout: String::new(),
    }
}

/// All stages that `stages` names, for one image.
pub(super) fn image_steps(form: ImageForm, prompt: &str, stages: &[ImageStage]) -> Vec<Step> {
    let image_id = ids::fresh();
    let card_id = image_id[..5].to_owned();
    let step = |stage: &ImageStage| {
        Step::Image(ImageStep {
            card_id: card_id.clone(),
            image_id: image_id.clone(),
            prompt: prompt.to_owned(),
            form,
            stage: *stage,
        })
    };
    stages.iter().map(step).collect()
}

const CARD_STAGES: [ImageStage; 4] = [ImageStage::Placeholder, ImageStage::Tag, ImageStage::Partial, ImageStage::Final];

pub(super) fn image() -> Reply {
    let mut steps = vec![Step::Text("Here it is: ".to_owned())];
    steps.extend(image_steps(ImageForm::Card, "a red kite", &CARD_STAGES));
    Reply::answer(steps)
}

pub(super) fn image_member() -> Reply {
    let mut steps = vec![Step::Text("Here it is: ".to_owned())];
    steps.extend(image_steps(ImageForm::Member, "a red kite", &[ImageStage::Partial, ImageStage::Final]));
    Reply::answer(steps)
}

pub(super) fn soft_stop_then_image() -> Reply {
    let mut image = image_steps(ImageForm::Card, "a red kite", &CARD_STAGES);
    let last = image.pop();
    let mut steps = vec![Step::Opening];
    steps.extend(image);
    steps.push(Step::SoftStop);
    steps.extend([Step::Heartbeat, Step::FinalMetadata]);
    steps.extend(last);
    steps.extend([Step::Stored, Step::Title]);
    Reply::steps(steps)
}

pub(super) fn moderated_image() -> Reply {
    let stages = [ImageStage::Placeholder, ImageStage::Tag, ImageStage::Partial, ImageStage::Moderated];
    Reply::answer(image_steps(ImageForm::Card, "something forbidden", &stages))
}

pub(super) fn failed_image() -> Reply {
    // 1006: the image service is rate limited.
    let stages = [ImageStage::Placeholder, ImageStage::Tag, ImageStage::Failed(1006)];
    Reply::answer(image_steps(ImageForm::Card, "a red kite", &stages))
}

/// Visible: text around a document, which a gateway shows as a code block.
pub(super) fn artifact() -> Reply {
    let text = "Here is the file:\n\n<xaiArtifact artifact_id=\"5c1e0f3a\" artifact_version_id=\"1\" title=\"hello.py\" \
                contentType=\"text/python\">print(\"a < b\")\n</xaiArtifact>\n\nThat is all.";
    Reply::answer(tokens_of(text).collect())
}

/// Thinking, a search and an answer.
pub(super) fn thinking() -> Reply {
    Reply::answer([thinking_steps(), text_tokens()].concat())
}

pub(super) fn thinking_steps() -> Vec<Step> {
    vec![
        Thinking::header(0, "Thinking about your request"),
        Thinking::header(1, "Weighing the options"),
        Thinking::summary(1, "- The question is plain.\n"),
        Thinking::summary(1, "- A short answer will do.\n"),
    ]
}

/// An answer of 2025: no tags on its tokens.
pub(super) fn untagged() -> Reply {
    let tokens = text_tokens().into_iter().map(|step| match step {
        Step::Text(text) => Step::UntaggedText(text),
        other => other,
    });
    Reply::answer(tokens.collect())
}
