// One event stream per browser. Tabs talk over a channel; one of them, a visible one if there is any, reads the stream and
// passes it on. HTTP/1.1 allows six connections per host in all tabs together: a stream per tab would block the console itself.
import { BASE } from "./client";

export type LiveState = "connecting" | "live" | "retrying" | "polling";
export type LiveEvent = { name: string; data: unknown };

type Message =
	| { kind: "beat"; from: string; visible: boolean; state: LiveState; at: number }
	| { kind: "event"; event: LiveEvent }
	| { kind: "topics"; from: string; topics: string[] }
	| { kind: "leave"; from: string };

const TOPICS = ["accounts.summary", "accounts", "jobs", "keys", "settings", "attention", "conversations", "images"];
const NAMES = [
	"account",
	"accounts.summary",
	"account.list_changed",
	"job",
	"job.deleted",
	"key",
	"key.list_changed",
	"settings",
	"attention",
	"conversation",
	"image.list_changed",
	"resync",
];

/** How often the leader says that it is there, and how long the others wait for it. */
const BEAT_MS = 2_000;
const MISSED_MS = 5_000;
/** The stream is silent at most 15 seconds. */
const SILENT_MS = 35_000;
/** Without a greeting within this, something on the way keeps the stream back. */
const GREETING_MS = 10_000;
const POLL_MS = 10_000;

const me = crypto.getRandomValues(new Uint32Array(2)).join("-");
const listeners = new Set<(event: LiveEvent) => void>();
const watchers = new Set<() => void>();
const wanted = new Map<string, string[]>();

let channel: BroadcastChannel | undefined;
let source: EventSource | undefined;
let stream = "";
let state: LiveState = "connecting";
let updatedAt = 0;
let leader = { id: "", at: 0 };
let heardAt = 0;
let failures = 0;
let retry: ReturnType<typeof setTimeout> | undefined;
let poll: ReturnType<typeof setInterval> | undefined;
let myTopics: string[] = [];

export function live(): { state: LiveState; updatedAt: number } {
	return { state, updatedAt };
}

export function onLive(watcher: () => void): () => void {
	watchers.add(watcher);
	return () => watchers.delete(watcher);
}

export function onEvent(listener: (event: LiveEvent) => void): () => void {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

/** Which single things this tab shows, as `account:ID`. */
export function watch(topics: string[]) {
	if (topics.join() === myTopics.join()) return;
	myTopics = topics;
	post({ kind: "topics", from: me, topics });
	wanted.set(me, topics);
	void sendTopics();
}

/** Begins to listen, once. */
export function startEvents() {
	if (channel) return;
	channel = new BroadcastChannel("grok2api.events");
	channel.onmessage = (message: MessageEvent<Message>) => receive(message.data);
	addEventListener("pagehide", () => post({ kind: "leave", from: me }));
	document.addEventListener("visibilitychange", () => {
		if (!document.hidden && !source) elect();
	});
	setInterval(elect, BEAT_MS);
	// Whoever leads says so at once if it hears a new tab.
	post({ kind: "topics", from: me, topics: myTopics });
	setTimeout(elect, 300);
}

/** Tries again now. */
export function reconnect() {
	failures = 0;
	if (source || leader.id === me || Date.now() - leader.at > MISSED_MS) lead();
}

function elect() {
	const now = Date.now();
	if (leader.id === me) {
		post({ kind: "beat", from: me, visible: !document.hidden, state, at: updatedAt });
		if (source && now - heardAt > SILENT_MS) fail();
	} else if (now - leader.at > MISSED_MS) {
		lead();
	}
}

function lead() {
	leader = { id: me, at: Date.now() };
	post({ kind: "beat", from: me, visible: !document.hidden, state, at: updatedAt });
	open();
}

function yieldTo(other: string) {
	leader = { id: other, at: Date.now() };
	clearTimeout(retry);
	clearInterval(poll);
	poll = undefined;
	source?.close();
	source = undefined;
}

function receive(message: Message) {
	if (message.kind === "beat") {
		if (leader.id === me && message.from !== me) {
			// Two lead: the visible one stays, of equals the one with the smaller name.
			const mine = document.hidden ? 1 : 0;
			const theirs = message.visible ? 0 : 1;
			if (theirs < mine || (theirs === mine && message.from < me)) yieldTo(message.from);
			return;
		}
		leader = { id: message.from, at: Date.now() };
		updatedAt = message.at;
		setState(message.state);
		// A hidden tab's timers are slow; a visible one takes over.
		if (!message.visible && !document.hidden) lead();
	} else if (message.kind === "event") {
		hear(message.event);
	} else if (message.kind === "topics") {
		wanted.set(message.from, message.topics);
		if (leader.id === me) {
			post({ kind: "beat", from: me, visible: !document.hidden, state, at: updatedAt });
			void sendTopics();
		}
	} else {
		wanted.delete(message.from);
		if (leader.id === message.from) {
			leader = { id: "", at: 0 };
			setTimeout(elect, Math.random() * 200);
		}
	}
}

function open() {
	source?.close();
	clearTimeout(retry);
	setState(failures ? "retrying" : "connecting");
	heardAt = Date.now();
	const topics = [...TOPICS, ...subjects()];
	const opened = new EventSource(`${BASE}/events?topics=${encodeURIComponent(topics.join(","))}`);
	source = opened;
	const greeting = setTimeout(() => {
		if (opened === source && opened.readyState === EventSource.OPEN) fallBack();
	}, GREETING_MS);
	opened.addEventListener("hello", (event) => {
		clearTimeout(greeting);
		failures = 0;
		heardAt = Date.now();
		const hello = JSON.parse((event as MessageEvent).data);
		stream = hello.stream;
		clearInterval(poll);
		poll = undefined;
		setState("live");
		if (!hello.resumed) tell({ name: "resync", data: {} });
	});
	for (const name of NAMES) {
		opened.addEventListener(name, (event) => tell({ name, data: JSON.parse((event as MessageEvent).data) }));
	}
	opened.addEventListener("keep-alive", () => {
		heardAt = Date.now();
	});
	opened.addEventListener("bye", fail);
	opened.onerror = () => {
		clearTimeout(greeting);
		if (opened === source) fail();
	};
}

function fail() {
	source?.close();
	source = undefined;
	setState("retrying");
	const wait = [1, 2, 5, 10, 20, 30][Math.min(failures, 5)] as number;
	failures += 1;
	clearTimeout(retry);
	retry = setTimeout(() => leader.id === me && open(), wait * 1_000 * (0.8 + Math.random() * 0.4));
}

/** Something on the way gathers the stream: what is shown is loaded anew now and then instead. */
function fallBack() {
	source?.close();
	source = undefined;
	setState("polling");
	poll ??= setInterval(() => tell({ name: "resync", data: {} }), POLL_MS);
}

function tell(event: LiveEvent) {
	heardAt = Date.now();
	post({ kind: "event", event });
	hear(event);
}

function hear(event: LiveEvent) {
	updatedAt = Date.now();
	for (const listener of listeners) listener(event);
}

function setState(next: LiveState) {
	if (next === state) return;
	state = next;
	for (const watcher of watchers) watcher();
}

function subjects(): string[] {
	return [...new Set([...wanted.values()].flat())].slice(0, 50);
}

let sending = false;
async function sendTopics() {
	if (!source || !stream || sending) return;
	sending = true;
	await new Promise((resolve) => setTimeout(resolve, 250));
	sending = false;
	const topics = [...TOPICS, ...subjects()];
	await fetch(`${BASE}/events/${stream}/topics`, {
		method: "PUT",
		headers: { "Content-Type": "application/json", "X-Requested-With": "console" },
		body: JSON.stringify({ topics }),
	}).catch(() => {
		// The stream itself notices a lost connection.
	});
}

function post(message: Message) {
	channel?.postMessage(message);
}
