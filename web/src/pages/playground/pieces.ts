// The pieces of one paragraph of Markdown. The text is read once from front to end, whatever stands in it: the place of every mark
// that ends something is remembered, so a mark that nothing ends is not looked for again behind every mark that could begin it.

export type Piece =
	| { kind: "text" | "code" | "strong" | "emphasis"; text: string }
	| { kind: "image" | "link"; text: string; address: string };

/** Tells how many characters were looked at; for the test. */
type Count = (characters: number) => void;

/** Finds the next place of a mark. Asked for places that do not go back, all questions together cost one pass. */
function next(find: (from: number) => number, length: number, count: Count) {
	let found = -1;
	return (from: number) => {
		if (found < from && found < length) {
			const at = find(from);
			found = at < 0 ? length : at;
			count(found - from + 1);
		}
		return found;
	};
}

export function pieces(text: string, count: Count = () => {}): Piece[] {
	const mark = (character: string) => next((from) => text.indexOf(character, from), text.length, count);
	const space = /\s/g;
	const spaces = (from: number) => {
		space.lastIndex = from;
		return space.exec(text)?.index ?? -1;
	};
	const [labelEnd, targetEnd, codeEnd, strongEnd, emphasisEnd, lineEnd] = [
		mark("]"),
		mark(")"),
		mark("`"),
		mark("*"),
		mark("*"),
		mark("\n"),
	];
	const blank = next(spaces, text.length, count);

	/** `[label](address)` whose label begins at `start`; where it ends. */
	const link = (start: number, least: number) => {
		const end = labelEnd(start);
		if (end >= text.length || end - start < least || text[end + 1] !== "(") return null;
		const close = targetEnd(end + 2);
		if (close >= text.length || close === end + 2 || blank(end + 2) < close) return null;
		return { text: text.slice(start, end), address: text.slice(end + 2, close), end: close + 1 };
	};
	const at = (start: number): { piece: Piece; end: number } | null => {
		switch (text[start]) {
			case "!": {
				const image = text[start + 1] === "[" ? link(start + 2, 0) : null;
				return image && { piece: { kind: "image", text: image.text, address: image.address }, end: image.end };
			}
			case "[": {
				const found = link(start + 1, 1);
				return found && { piece: { kind: "link", text: found.text, address: found.address }, end: found.end };
			}
			case "`": {
				const end = codeEnd(start + 1);
				if (end >= text.length || end === start + 1) return null;
				return { piece: { kind: "code", text: text.slice(start + 1, end) }, end: end + 1 };
			}
			case "*": {
				if (text[start + 1] === "*") {
					const end = strongEnd(start + 2);
					if (end === start + 2 || text[end] !== "*" || text[end + 1] !== "*") return null;
					return { piece: { kind: "strong", text: text.slice(start + 2, end) }, end: end + 2 };
				}
				const end = emphasisEnd(start + 1);
				if (end >= text.length || end === start + 1 || lineEnd(start + 1) < end) return null;
				return { piece: { kind: "emphasis", text: text.slice(start + 1, end) }, end: end + 1 };
			}
			default:
				return null;
		}
	};

	const found: Piece[] = [];
	let plain = 0;
	for (let start = 0; start < text.length; ) {
		count(1);
		const hit = at(start);
		if (!hit) {
			start++;
			continue;
		}
		if (plain < start) found.push({ kind: "text", text: text.slice(plain, start) });
		found.push(hit.piece);
		start = plain = hit.end;
	}
	if (plain < text.length) found.push({ kind: "text", text: text.slice(plain) });
	return found;
}
