// Signing in and claiming: a small page of its own, without the framework. Who is signed in goes straight on.
import "./app.css";
import { currentLanguage, loadLanguage, t } from "./i18n";
import { currentTaste, setTaste } from "./taste";

const BASE = "/admin/api/v1";
const root = document.getElementById("root") as HTMLElement;

async function begin() {
	const [response] = await Promise.all([fetch(`${BASE}/session`).catch(() => undefined), loadLanguage()]);
	if (!response) return failed();
	if (response.ok) return enter();
	const body = await response.json().catch(() => undefined);
	const isClaim = Boolean(body?.error?.context?.claim_needed);
	show(isClaim);
}

async function enter() {
	if (location.pathname.endsWith("/claim") || location.pathname.endsWith("/login")) {
		history.replaceState(null, "", "/admin/");
	}
	root.replaceChildren();
	const app = await import("./main");
	app.mount(root);
}

function failed() {
	const retry = element("button", "btn btn-primary", t("door.retry"));
	retry.onclick = () => location.reload();
	root.replaceChildren(
		element(
			"main",
			"mx-auto mt-24 max-w-sm px-4",
			element("h1", "text-lg font-semibold", t("door.unreachable")),
			element("p", "my-3 text-ink-2", t("door.unreachable_hint")),
			retry,
		),
	);
}

type Child = Node | string | undefined;

function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, ...children: Child[]) {
	const made = document.createElement(tag);
	made.className = className;
	made.append(...children.filter((child) => child !== undefined));
	return made;
}

function field(id: string, label: string, type: string, autocomplete: string, value = "") {
	const input = element("input", "input mt-1");
	Object.assign(input, { id, type, value, required: true, autocapitalize: "off", spellcheck: false });
	input.setAttribute("autocomplete", autocomplete);
	const caption = element("label", "text-xs text-ink-2", label);
	caption.htmlFor = id;
	return { input, row: element("div", "mb-3", caption, input) };
}

/** A password that nobody guesses. */
function generated(): string {
	const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	return Array.from(crypto.getRandomValues(new Uint8Array(20)), (byte) => letters[byte % letters.length]).join("");
}

function show(isClaim: boolean) {
	document.title = `${t(isClaim ? "door.claim_title" : "door.sign_in_title")} · Grok2API`;
	const form = element("form", "box p-6");
	const problem = element("p", "mb-3 hidden rounded-control bg-bad-soft px-3 py-2 text-bad");
	problem.setAttribute("role", "alert");
	const code = isClaim
		? field("code", t("door.code"), "text", "one-time-code", decodeURIComponent(location.hash.slice(1)))
		: undefined;
	const name = field("username", t("door.username"), "text", "username", isClaim ? "admin" : "");
	const password = field("password", t("door.password"), "password", isClaim ? "new-password" : "current-password");
	if (isClaim) password.input.minLength = 10;
	const remember = element("input", "size-4 accent-accent");
	Object.assign(remember, { type: "checkbox", id: "remember" });
	const rememberLabel = element("label", "text-ink-2", t("door.remember"));
	rememberLabel.htmlFor = "remember";
	const submit = element("button", "btn btn-primary w-full", t(isClaim ? "door.claim" : "door.sign_in"));
	submit.type = "submit";

	const children: Child[] = [problem];
	if (code) children.push(code.row);
	children.push(name.row, password.row);
	if (isClaim) {
		const suggest = element("button", "btn btn-plain mb-3 -ml-2", t("door.generate"));
		suggest.type = "button";
		suggest.onclick = () => {
			password.input.type = "text";
			password.input.value = generated();
			password.input.select();
		};
		children.push(suggest, element("p", "mb-3 text-xs text-ink-3", t("door.password_hint")));
	} else {
		children.push(element("div", "mb-4 flex items-center gap-2", remember, rememberLabel));
	}
	children.push(submit);
	form.append(...(children.filter(Boolean) as Node[]));

	form.onsubmit = async (event) => {
		event.preventDefault();
		submit.disabled = true;
		problem.classList.add("hidden");
		const body = {
			username: name.input.value.trim(),
			password: password.input.value,
			...(code ? { code: code.input.value.trim() } : { remember: remember.checked }),
		};
		const response = await fetch(`${BASE}/${isClaim ? "claim" : "session"}`, {
			method: "POST",
			headers: { "Content-Type": "application/json", "X-Requested-With": "console" },
			body: JSON.stringify(body),
		}).catch(() => undefined);
		if (response?.ok) {
			history.replaceState(null, "", location.pathname + location.search);
			return enter();
		}
		const answer = await response?.json().catch(() => undefined);
		problem.textContent = sentence(response?.status ?? 0, answer?.error, isClaim);
		problem.classList.remove("hidden");
		submit.disabled = false;
		(response?.status === 401 ? password.input : isClaim ? code?.input : name.input)?.focus();
		// Somebody else has claimed it in the meantime.
		if (response?.status === 410) show(false);
	};

	const language = element("button", "btn btn-plain", currentLanguage() === "en" ? "中文" : "English");
	language.type = "button";
	language.lang = currentLanguage() === "en" ? "zh-CN" : "en";
	language.onclick = async () => {
		setTaste({ language: currentTaste().language === "en" ? "zh-CN" : "en" });
		await loadLanguage();
		show(isClaim);
	};

	root.replaceChildren(
		element(
			"main",
			"mx-auto mt-[12vh] max-w-sm px-4",
			element("h1", "mb-1 text-lg font-semibold", t(isClaim ? "door.claim_title" : "door.sign_in_title")),
			element("p", "mb-4 text-ink-2", t(isClaim ? "door.claim_intro" : "door.sign_in_intro")),
			form,
			element("div", "mt-3 flex justify-end", language),
		),
	);
	(code && !code.input.value ? code.input : isClaim ? password.input : name.input).focus();
}

function sentence(status: number, error: { message?: string; retry_after_s?: number } | undefined, isClaim: boolean): string {
	if (status === 0) return t("door.unreachable");
	if (status === 401) return t("door.wrong");
	if (status === 403 && isClaim) return t("door.wrong_code");
	if (status === 410) return t("door.claimed");
	if (status === 429) return t("door.throttled", { n: error?.retry_after_s ?? 60 });
	return error?.message ?? t("door.failed");
}

void begin();
