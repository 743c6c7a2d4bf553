import reactHooks from "eslint-plugin-react-hooks";
import typescript from "typescript-eslint";

export default typescript.config(
  {files: ["src/**/*.{ts,tsx}", "tests/**/*.{ts,tsx}"]},
  typescript.configs.recommended,
  {
    plugins: {"react-hooks": reactHooks},
    rules: {
      "react-hooks/rules-of-hooks": "error",
      "react-hooks/exhaustive-deps": "error",
      "@typescript-eslint/no-unused-vars": ["error", {varsIgnorePattern: "^_$"}],
      "max-lines": ["error", 400],
    },
  },
);
