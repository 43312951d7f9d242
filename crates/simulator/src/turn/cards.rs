//! Payloads of cards, images and tools (UPSTREAM.md 5.6, 6 and 9.1).

use serde_json::{Value, json};

use crate::script::{Citation, ImageForm, ImageStage, ImageStep, ToolCall};

/// Where the image of an id is kept, relative to the assets host; half-done ones are kept aside.
pub(crate) fn image_path(user_id: &str, image_id: &str, stage: ImageStage) -> String {
    let part = if stage == ImageStage::Partial { "-part-0" } else { "" };
    format!("users/{user_id}/generated/{image_id}{part}/image.jpg")
}

/// The XML in a tool call's token.
pub(crate) fn tool_xml(call: &ToolCall) -> String {
    format!(
        "<xai:tool_usage_card>\n  <xai:tool_usage_card_id>{}</xai:tool_usage_card_id>\n  <xai:tool_name>{}</xai:tool_name>\n  \
         <xai:tool_args><![CDATA[{}]]></xai:tool_args>\n</xai:tool_usage_card>",
        call.id, call.name, call.arguments
    )
}

/// The structured form of a tool call; it has fewer arguments than the XML.
pub(crate) fn tool_card(call: &ToolCall) -> Value {
    let mut arguments = call.arguments.clone();
    if let Value::Object(members) = &mut arguments {
        members.remove("num_results");
    }
    let mut card = json!({"toolUsageCardId": call.id});
    card[camel_case(&call.name)] = json!({"args": arguments});
    card
}

pub(crate) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        out.push_str(&first.to_uppercase());
        out.push_str(rest);
    }
    out
}

pub(crate) fn citation_card(citation: &Citation) -> Value {
    json!({
        "id": citation.card_id,
        "type": "render_inline_citation",
        "cardType": "citation_card",
        "url": citation.url,
    })
}

pub(crate) fn citation_tag(citation: &Citation) -> String {
    format!(
        "<grok:render card_id=\"{}\" card_type=\"citation_card\" type=\"render_inline_citation\">\
         <argument name=\"citation_id\">{}</argument></grok:render>",
        citation.card_id, citation.citation_id
    )
}

pub(crate) fn image_tag(image: &ImageStep) -> String {
    format!(
        "<grok:render card_id=\"{}\" card_type=\"generated_image_card\" type=\"render_generated_image\">\
         <argument name=\"prompt\">{}</argument></grok:render>",
        image.card_id, image.prompt
    )
}

/// The card of an image, or the older member.
pub(crate) fn image_payload(image: &ImageStep, user_id: &str) -> Value {
    match image.form {
        ImageForm::Card => image_card(image, user_id),
        ImageForm::Member => image_member(image, user_id),
    }
}

fn progress(stage: ImageStage) -> u32 {
    match stage {
        ImageStage::Placeholder | ImageStage::Tag => 0,
        ImageStage::Partial => 50,
        ImageStage::Final | ImageStage::Moderated | ImageStage::Failed(_) => 100,
    }
}

fn image_card(image: &ImageStep, user_id: &str) -> Value {
    let mut card = json!({
        "id": image.card_id,
        "type": "render_generated_image",
        "cardType": "generated_image_card",
        "prompt": image.prompt,
        "orientation": "square",
        "image_chunk": null,
    });
    if matches!(image.stage, ImageStage::Placeholder | ImageStage::Tag) {
        return card;
    }
    let mut chunk = json!({
        "imageUuid": image.image_id,
        "imageUrl": image_path(user_id, &image.image_id, image.stage),
        "seq": u32::from(image.stage != ImageStage::Partial),
        "progress": progress(image.stage),
        "moderated": image.stage == ImageStage::Moderated,
        "imageTitle": image.prompt,
        "imageIndex": 0,
        "imageModel": "imagine_x_1",
    });
    if let ImageStage::Failed(code) = image.stage {
        chunk["imageUrl"] = "".into();
        chunk["systemErrCode"] = code.into();
    }
    card["image_chunk"] = chunk;
    card
}

fn image_member(image: &ImageStep, user_id: &str) -> Value {
    let done = image.stage != ImageStage::Partial;
    let mut member = json!({
        "imageId": image.image_id,
        "imageUrl": image_path(user_id, &image.image_id, image.stage),
        "seq": u32::from(done),
        "progress": progress(image.stage),
        "imageIndex": 0,
        "moderated": image.stage == ImageStage::Moderated,
        "assetId": if done { image.image_id.as_str() } else { "" },
        "imageModel": "imagine_x_1",
    });
    if let ImageStage::Failed(code) = image.stage {
        member["imageUrl"] = "".into();
        member["systemErrCode"] = code.into();
    }
    member
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_named_in_camel_case_in_cards() {
        assert_eq!(camel_case("web_search"), "webSearch");
        assert_eq!(camel_case("x_keyword_search"), "xKeywordSearch");
        assert_eq!(camel_case("bash"), "bash");
    }
}
