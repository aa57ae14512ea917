# Builds ./chatapi with Node and npm alone, then keeps nothing but the executable. See docs/operations.md.
FROM node:22-bookworm-slim AS build
WORKDIR /build
# A dependency of the docs page would report its installation.
ENV SCARF_ANALYTICS=false
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json ./
COPY drizzle ./drizzle
COPY src ./src
RUN npm run build && mkdir -m 0700 /data

# glibc and a user, no shell. 65532 is the image's `nonroot`.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/chatapi /chatapi
# A new volume takes over this directory's owner: the process could not write to one of root's.
COPY --from=build --chown=65532:65532 /data /data
ENV DATA_DIR=/data
# Apart from the data; nothing is ever written to it.
WORKDIR /app
USER 65532:65532
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/chatapi", "healthcheck"]
ENTRYPOINT ["/chatapi"]
