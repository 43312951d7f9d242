// Markdown of an answer as elements: no HTML, links shown in full, images from this gateway alone.
import type { ReactNode } from "react";
import { Copy } from "../../ui/Copy";
import { pieces } from "./pieces";

export function Markdown({ text }: { text: string }) {
	const blocks: ReactNode[] = [];
	const lines = text.split("\n");
	for (let at = 0; at < lines.length; at++) {
		const line = lines[at] as string;
		const fence = /^\s*(```|~~~)\s*([\w+-]*)/.exec(line);
		if (fence) {
			const code: string[] = [];
			while (++at < lines.length && !(lines[at] as string).trim().startsWith(fence[1] as string)) code.push(lines[at] as string);
			blocks.push(<Code key={at} language={fence[2] ?? ""} code={code.join("\n")} />);
			continue;
		}
		const heading = /^(#{1,6})\s+(.*)/.exec(line);
		if (heading) {
			blocks.push(
				<p key={at} className="mt-3 mb-1 text-base font-semibold">
					{inline(heading[2] ?? "")}
				</p>,
			);
			continue;
		}
		if (/^\s*([-*+]|\d+[.)])\s+/.test(line)) {
			const items: string[] = [];
			const isOrdered = /^\s*\d/.test(line);
			for (; at < lines.length && /^\s*([-*+]|\d+[.)])\s+/.test(lines[at] as string); at++)
				items.push((lines[at] as string).replace(/^\s*([-*+]|\d+[.)])\s+/, ""));
			at--;
			const List = isOrdered ? "ol" : "ul";
			blocks.push(
				<List key={at} className={`my-1 pl-5 ${isOrdered ? "list-decimal" : "list-disc"}`}>
					{items.map((item, index) => (
						<li key={index}>{inline(item)}</li>
					))}
				</List>,
			);
			continue;
		}
		if (line.trim()) {
			const paragraph = [line];
			while (lines[at + 1]?.trim() && !/^\s*(```|~~~|#{1,6}\s|[-*+]\s|\d+[.)]\s)/.test(lines[at + 1] as string))
				paragraph.push(lines[++at] as string);
			blocks.push(
				<p key={at} className="my-1.5 whitespace-pre-wrap">
					{inline(paragraph.join("\n"))}
				</p>,
			);
		}
	}
	return <div className="break-words">{blocks}</div>;
}

function Code({ language, code }: { language: string; code: string }) {
	return (
		<div className="relative my-2 rounded-control border border-line bg-sunken">
			<pre className="overflow-x-auto p-3 pr-10 font-mono text-xs leading-5" tabIndex={0}>
				<code data-language={language}>{code}</code>
			</pre>
			<div className="absolute top-1.5 right-1.5">
				<Copy text={code} />
			</div>
		</div>
	);
}

function inline(text: string): ReactNode[] {
	return pieces(text).map((piece, index) => {
		switch (piece.kind) {
			case "image":
				return <Picture key={index} alt={piece.text} address={piece.address} />;
			case "link":
				if (!/^https?:\/\//.test(piece.address)) return `[${piece.text}](${piece.address})`;
				return (
					<a key={index} href={piece.address} target="_blank" rel="noopener noreferrer" title={piece.address}>
						{piece.text}
					</a>
				);
			case "code":
				return (
					<code key={index} className="rounded-pill bg-sunken px-1 font-mono text-xs">
						{piece.text}
					</code>
				);
			case "strong":
				return <strong key={index}>{piece.text}</strong>;
			case "emphasis":
				return <em key={index}>{piece.text}</em>;
			default:
				return piece.text;
		}
	});
}

/** Only pictures of this gateway's own cache are loaded, by their path: its public address may be another one. */
function Picture({ alt, address }: { alt: string; address: string }) {
	const path = /\/images\/[\w.-]+$/.exec(address)?.[0];
	if (!path) return <span>{address}</span>;
	return (
		<a href={path} target="_blank" rel="noopener noreferrer">
			<img src={path} alt={alt} loading="lazy" decoding="async" className="my-2 max-h-80 rounded-control border border-line" />
		</a>
	);
}
