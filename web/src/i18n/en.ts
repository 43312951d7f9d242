import accounts from "./en/accounts.json";
import door from "./en/door.json";
import error from "./en/error.json";
import images from "./en/images.json";
import jobs from "./en/jobs.json";
import keys from "./en/keys.json";
import models from "./en/models.json";
import overview from "./en/overview.json";
import playground from "./en/playground.json";
import requests from "./en/requests.json";
import settings from "./en/settings.json";
import shell from "./en/shell.json";
import system from "./en/system.json";

export const words = {
	...shell,
	...door,
	...error,
	...accounts,
	...images,
	...jobs,
	...keys,
	...models,
	...overview,
	...playground,
	...requests,
	...settings,
	...system,
};
export type Words = typeof words;
