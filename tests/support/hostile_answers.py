"""What a model might say to get something run or fetched: each of these ways in each of those places.

A script that runs sets `window.hacked`; what is fetched has "canary" in its address.
"""

from itertools import product

RUN, FAR, NEAR = "window.hacked=1", "https://canary.example/x", "/canary/x"

SCRIPTS = [
    f"<script>{RUN}</script>",
    f"<script src={FAR}></script>",
    f"<img src=x onerror={RUN}>",
    f"<img src={FAR}>",
    f"<img srcset='{FAR} 1x'>",
    f"<svg onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<svg><image href={FAR}></svg>",
    f"<svg><use href='{FAR}#x'></svg>",
    f"<svg><style>*{{background:url({FAR})}}</style></svg>",
    f"<svg><foreignObject><iframe src={FAR}></foreignObject></svg>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}></style></mglyph></table></mtext></math>",
    f"<math href='javascript:{RUN}'>x</math>",
    f"<math><annotation-xml encoding=text/html><img src=x onerror={RUN}></annotation-xml></math>",
    f"<iframe src={FAR}></iframe>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<object data={FAR}></object>",
    f"<embed src={FAR}>",
    f"<video src={FAR} autoplay onloadstart={RUN}></video>",
    f"<audio src={FAR} autoplay></audio>",
    f"<picture><source srcset={FAR}><img></picture>",
    f"<link rel=stylesheet href={FAR}>",
    f"<link rel=prefetch href={FAR}>",
    f"<meta http-equiv=refresh content='0;url={FAR}'>",
    f"<base href={FAR}>",
    f"<style>@import '{FAR}';</style>",
    f"<p style='background:url({FAR})'>x</p>",
    f"<details open ontoggle={RUN}>x</details>",
    f"<input autofocus onfocus={RUN}>",
    f"<form action={FAR}><button autofocus>x</button></form>",
    f"<button formaction='javascript:{RUN}'>x</button>",
    f"<body onload={RUN}>",
    f"<marquee onstart={RUN}>x</marquee>",
    f"<a href='javascript:{RUN}'>x</a>",
    f"<a href={FAR} ping={FAR}>x</a>",
    f"<p onmouseover={RUN}>x</p>",
    f"<template><script>{RUN}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'></noscript>",
    f"<xmp><script>{RUN}</script></xmp>",
    f"<textarea><script>{RUN}</script></textarea>",
    f"<!--><img src=x onerror={RUN}>-->",
    f"<![CDATA[><img src=x onerror={RUN}>]]>",
    f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"&#60;img src=x onerror={RUN}&#62;",
]
OURS = [
    f"<div hx-get={NEAR} hx-trigger=load></div>",
    f"<div data-hx-get={NEAR} data-hx-trigger=load></div>",
    f"<div hx-sse:connect={NEAR}></div>",
    f"<p hx-on:load='{RUN}' hx-on::after-process='{RUN}'>x</p>",
    f"<hx-partial hx-target=body hx-swap=innerHTML><img src={NEAR}></hx-partial>",
    f"</hx-partial><hx-partial hx-target='#main'><img src={NEAR}></hx-partial>",
    f"<template hx type=partial hx-target=body><img src={NEAR}></template>",
    "<div data-controller=media data-action='load->media#open'>x</div>",
    f"<div data-controller=charts data-charts-url-value={NEAR}>x</div>",
    "<p id=live>x</p>",
    "<form id=stop-form><input name=csrfmiddlewaretoken></form>",
    "<img name=body><a id=document>x</a>",
    "</div></div></article></main><h1>x</h1>",
    "<p class='banner dialog' popover id=banner>x</p>",
]
LINKS = [
    f"[x](javascript:{RUN})",
    f"[x](JaVaScRiPt:{RUN})",
    f"[x](&#106;avascript:{RUN})",
    f"[x](<java\tscript:{RUN}>)",
    f"<javascript:{RUN}>",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    f"[x](vbscript:{RUN})",
    f"[x]({NEAR})",
    "[x](//canary.example/x)",
    f"[x][r]\n\n[r]: javascript:{RUN}",
    f"[x]({FAR} 'onmouseover={RUN}')",
    f'[x]({FAR} "\\" onmouseover={RUN} \\"")',
    f"![x]({FAR})",
    f"![x]({NEAR})",
    f"![x][i]\n\n[i]: {FAR}",
    f'!["onerror="{RUN}]({FAR})',
    f"[![x]({FAR})]({FAR})",
    f'<{FAR}?"onmouseover={RUN}>',
    f"$\\href{{javascript:{RUN}}}{{x}}$",
    f"$$<img src=x onerror={RUN}>$$",
]
PLACES = [
    "{}",
    "**{}**",
    "# {}",
    "> {}",
    "- {}",
    "[{}](https://a.example)",
    "`{}`",
    "Words before {} and after, \\{}",
]
ENDINGS = [
    "```html\n{}\n",
    "~~~{}\nx\n",
    "```{}\nx\n```",
    "| a | b |\n|:-:|--:|\n| {} | x |",
    "    {}",
    "<div\n{}",
]


def answers() -> list[str]:
    """Each is many in one, by blank lines; what would swallow the rest comes last."""
    vectors = [*SCRIPTS, *OURS, *LINKS]
    found = []
    for at, vector in enumerate(vectors):
        parts = [place.replace("{}", vector) for place in PLACES]
        parts.append(ENDINGS[at % len(ENDINGS)].replace("{}", vector))
        found.append("\n\n".join(parts))
    return found


def count() -> int:
    return len({place.replace("{}", vector) for place, vector in product(PLACES, [*SCRIPTS, *OURS, *LINKS])})
