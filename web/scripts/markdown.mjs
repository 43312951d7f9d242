// Holds the reader of Markdown to what it should find and to one pass over its text. Run by `npm run check`.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import ts from "typescript";

const source = readFileSync(new URL("../src/pages/playground/pieces.ts", import.meta.url), "utf8");
const { outputText } = ts.transpileModule(source, {
	compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
});
const { pieces } = await import(`data:text/javascript;base64,${Buffer.from(outputText).toString("base64")}`);

// What counts as what, written as one expression: right, and slow for texts that begin much and end nothing.
const PIECES = /(!\[[^\]]*\]\([^)\s]+\)|\[[^\]]+\]\([^)\s]+\)|`[^`]+`|\*\*[^*]+\*\*|\*[^*\n]+\*)/g;
const written = (piece) => {
	switch (piece.kind) {
		case "image":
			return `![${piece.text}](${piece.address})`;
		case "link":
			return `[${piece.text}](${piece.address})`;
		case "code":
			return `\`${piece.text}\``;
		case "strong":
			return `**${piece.text}**`;
		case "emphasis":
			return `*${piece.text}*`;
		default:
			return piece.text;
	}
};

const TELLING = [
	"![",
	"[",
	"[a](b)",
	"](",
	"]",
	"(",
	")",
	"`",
	"*",
	"**",
	"\n",
	" ",
	"a",
	"é",
	"!",
	"![a](b)",
	"**b**",
	"*c*",
	"`d`",
	"https://h.example/",
];
let seed = 7;
const random = (below) => {
	seed = (seed * 1103515245 + 12345) % 2147483648;
	return seed % below;
};
for (let round = 0; round < 50_000; round++) {
	const text = Array.from({ length: random(14) }, () => TELLING[random(TELLING.length)]).join("");
	const expected = text.split(PIECES).filter((piece) => piece !== "");
	assert.deepEqual(pieces(text).map(written), expected, JSON.stringify(text));
}

const most = (short) => {
	let dearest = 0;
	for (const length of [64 * 1024, 1024 * 1024, 8 * 1024 * 1024]) {
		let steps = 0;
		const text = short.repeat(length / short.length);
		pieces(text, (characters) => {
			steps += characters;
		});
		dearest = Math.max(dearest, steps / text.length);
		assert.ok(steps <= 12 * text.length + 1000, `${JSON.stringify(short)} repeated to ${length}: ${steps} characters looked at`);
	}
	return dearest;
};
let dearest = 0;
for (const one of TELLING)
	for (const other of ["", "[a(", "x", "*", "`", "![", "\n"]) dearest = Math.max(dearest, most(one + other));
console.log(`Markdown: read in one pass, at most ${dearest.toFixed(1)} characters looked at for each`);
