#include <isa-l/igzip_lib.h>
#include <stddef.h>
#include <stdlib.h>

// A stream has arrays that Swift cannot name: it stays behind these three.

// The working memory of cisal_gzip.
struct cisal_memory;

// NULL without memory.
static inline struct cisal_memory *cisal_make(void) {
    return malloc(sizeof(struct isal_zstream) + ISAL_DEF_LVL1_DEFAULT);
}

static inline void cisal_free(struct cisal_memory *memory) { free(memory); }

// One gzip member (level 1) of `count` bytes into `room`; how long it is, 0 if there is too little room.
static inline size_t cisal_gzip(
    struct cisal_memory *memory, const uint8_t *bytes, uint32_t count, uint8_t *room,
    uint32_t room_size) {
    struct isal_zstream *stream = (struct isal_zstream *)memory;
    isal_deflate_init(stream);
    stream->level = 1;
    stream->level_buf = (uint8_t *)memory + sizeof *stream;
    stream->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    stream->gzip_flag = IGZIP_GZIP;
    stream->end_of_stream = 1;
    stream->next_in = (uint8_t *)bytes, stream->avail_in = count;
    stream->next_out = room, stream->avail_out = room_size;
    if (isal_deflate(stream) != COMP_OK || stream->internal_state.state != ZSTATE_END) return 0;
    return stream->total_out;
}
