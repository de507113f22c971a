/* One run of the language, from text to output; definitions last as long as the session. */
#ifndef CALC_SESSION_H
#define CALC_SESSION_H

#include "machine.h"

enum session_mode { SESSION_RUN, SESSION_FORMAT, SESSION_LIST };

struct session {
  struct arena arena;
  struct string_pool pool;
  struct machine *machine;
  FILE *output, *errors;
  bool fold;
};

struct session *session_new(FILE *output, FILE *errors);
bool session_evaluate(struct session *session, const struct source *source, enum session_mode mode);
void session_free(struct session *session);

#endif
