/* Source text to tokens. */
#ifndef CALC_LEXER_H
#define CALC_LEXER_H

#include "diagnostics.h"

enum token_kind {
  TOKEN_END,
  TOKEN_ERROR,
  TOKEN_NUMBER,
  TOKEN_STRING,
  TOKEN_NAME,
  TOKEN_LET,
  TOKEN_FN,
  TOKEN_IF,
  TOKEN_THEN,
  TOKEN_ELSE,
  TOKEN_AND,
  TOKEN_OR,
  TOKEN_NOT,
  TOKEN_TRUE,
  TOKEN_FALSE,
  TOKEN_NOTHING,
  TOKEN_IN,
  TOKEN_PLUS,
  TOKEN_MINUS,
  TOKEN_STAR,
  TOKEN_SLASH,
  TOKEN_PERCENT,
  TOKEN_CARET,
  TOKEN_EQUAL,
  TOKEN_SAME,
  TOKEN_DIFFERENT,
  TOKEN_LESS,
  TOKEN_LESS_SAME,
  TOKEN_MORE,
  TOKEN_MORE_SAME,
  TOKEN_COMMA,
  TOKEN_SEMICOLON,
  TOKEN_OPEN,
  TOKEN_CLOSE,
  TOKEN_KINDS
};

struct token {
  enum token_kind kind;
  uint32_t offset, length;
  double number; /* of TOKEN_NUMBER */
};

struct lexer {
  const struct source *source;
  struct diagnostics *diagnostics;
  uint32_t next;
};

struct token lexer_next(struct lexer *lexer);
const char *token_kind_name(enum token_kind kind);

#endif
