export default {
  extends: "stylelint-config-standard",
  ignoreFiles: ["static/vendor/**"],
  reportDescriptionlessDisables: true,
  reportNeedlessDisables: true,
  rules: {
    "no-unknown-custom-properties": true,
    // Not every browser knows overflow-inline yet.
    "property-layout-mappings": ["flow-relative", { ignoreProperties: [/^over(flow|scroll-behavior)-/] }],
    // A rule takes a line, however many declarations it has, and rules that belong together stand together.
    "at-rule-empty-line-before": null,
    "comment-empty-line-before": null,
    "custom-property-empty-line-before": null,
    "declaration-block-single-line-max-declarations": null,
    // The file goes by parts of the page, with the layers in their order.
    "no-descending-specificity": null,
    // Written as it was before ranges; both mean the same.
    "media-feature-range-notation": "prefix",
    "value-keyword-case": ["lower", { ignoreKeywords: ["currentColor"] }],
    // Safari on iOS knows no other name.
    "property-no-vendor-prefix": [true, { ignoreProperties: ["-webkit-text-size-adjust"] }],
  },
};
