import accounts from "./zh-CN/accounts.json";
import door from "./zh-CN/door.json";
import error from "./zh-CN/error.json";
import images from "./zh-CN/images.json";
import jobs from "./zh-CN/jobs.json";
import keys from "./zh-CN/keys.json";
import models from "./zh-CN/models.json";
import overview from "./zh-CN/overview.json";
import playground from "./zh-CN/playground.json";
import requests from "./zh-CN/requests.json";
import settings from "./zh-CN/settings.json";
import shell from "./zh-CN/shell.json";
import system from "./zh-CN/system.json";

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
