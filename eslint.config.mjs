import js from "@eslint/js";
import globals from "globals";
import noUnsanitized from "eslint-plugin-no-unsanitized";

export default [
  { ignores: ["static/vendor/"] },
  js.configs.recommended,
  noUnsanitized.configs.recommended,
  {
    files: ["static/**/*.js"],
    languageOptions: { globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      // `== null` means null or undefined, and nothing else.
      eqeqeq: ["error", "always", { null: "ignore" }],
      "no-implied-eval": "error",
      "no-restricted-syntax": ["error", {
        selector: ":matches(AwaitExpression, AwaitExpression > ChainExpression) > CallExpression[callee.property.name=/^(arrayBuffer|blob|formData|json|text)$/]",
        message: "A body can break off after its head has come: catch that.",
      }],
      "no-shadow": "error",
      "no-unused-expressions": "error",
      "no-use-before-define": ["error", { functions: false }],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
];
