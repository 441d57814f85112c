/* Memory of one XML document while it is read. libxml2 asks for some hundred little pieces and gives each one back; here they
 * come out of one block that is forgotten as a whole. What does not fit comes from the heap as before.
 *
 * The block and libxml2's choice of allocator are the process's: documents are read on one thread. @thread control, or a tool's */
#ifndef METADATA_ARENA_H
#define METADATA_ARENA_H

/** From here on libxml2 allocates in the block. */
void metadata_arena_begin(void);
/** Everything that libxml2 was asked for since is freed by now. */
void metadata_arena_end(void);

#endif
