"""How well what is on a page can be read: WCAG 2.2's contrast ratio of each text against what is behind it."""

from __future__ import annotations

# The browser's own canvas reads every form of colour. Layers are put upon one another from the outermost in, as they are drawn.
_CONTRAST = """([root, least]) => {
    const context = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d', {willReadFrequently: true});
    const over = (colours) => {
        context.clearRect(0, 0, 1, 1);
        for (const colour of ['#fff', ...colours]) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
        return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((one) => one / 255).map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const layers = [];
        for (let one = element; one; one = one.parentElement) layers.unshift(getComputedStyle(one).backgroundColor);
        return layers;
    };
    const ratio = (front, layers) => {
        const [high, low] = [over([...layers, front]), over(layers)].map(luminance).sort((a, b) => b - a);
        return (high + 0.05) / (low + 0.05);
    };
    const found = [];
    for (const element of document.querySelectorAll(`${root}, ${root} *`)) {
        if (!element.checkVisibility({visibilityProperty: true})) continue;
        const style = getComputedStyle(element);
        const text = [...element.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join('');
        const layers = behind(element);
        if (text) found.push([text, ratio(style.color, layers)]);
        if (element.tagName === 'path') found.push(['drawing', ratio(style.fill, layers)]);
        if (element.tagName === 'BUTTON' && style.borderBottomStyle !== 'none')
            found.push([`border of ${text || element.textContent}`, ratio(style.borderBottomColor, behind(element.parentElement))]);
    }
    return {seen: found.length, bad: found.filter(([, value]) => !(value >= least))};
}"""


def hard_to_read(page, root: str, least: float = 4.5) -> list:
    """Texts, drawings and buttons' borders below ``root`` with less than the least contrast, each with its ratio.

    Args:
        page: a Playwright page.
        root: selector of the element to look at, with all that is visible in it.
        least: ratio, 1..21.
    """
    outcome = page.evaluate(_CONTRAST, [root, least])
    assert outcome["seen"] > 0, f"nothing to see in {root}"
    return outcome["bad"]
