/* The C ABI of bridge/ (src/lib.rs). Only src/text_bridge includes it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes owned by the bridge until lamina_bridge_free_bytes. */
typedef struct {
  uint8_t* data;
  size_t n_bytes;
} LaminaBytes;

typedef struct LaminaTemplate LaminaTemplate;

/* Results are 0 or a code of src/base/status.h; then the bytes are a message. Every LaminaBytes
 * written must be freed. */
int32_t lamina_template_compile(const char* source, size_t n_bytes, LaminaTemplate** compiled,
                                LaminaBytes* message);
/* variables: a JSON object. A template may be rendered by several threads at once. */
int32_t lamina_template_render(const LaminaTemplate* compiled, const char* variables,
                               size_t n_bytes, LaminaBytes* out);
void lamina_template_free(LaminaTemplate* compiled);
void lamina_bridge_free_bytes(LaminaBytes bytes);

#ifdef __cplusplus
}
#endif
