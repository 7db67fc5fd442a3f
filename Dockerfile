# The image of a gate, for docker, buildah and nerdctl alike: docker build -t REGISTRY/taskgate:VERSION .
# BASE has Node 24 or newer with npm, and a shell; BUILD_BASE builds, and is not in the image.
ARG BASE=docker.io/library/node:24-slim
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Nobody's install scripts are run: bcrypt brings what it needs, compiled.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN npm run --silent build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund
# All that the image has beside its base, where it is to be: the last stage runs nothing.
RUN mkdir -p /image/opt/taskgate /image/usr/local/bin /image/etc /image/home/taskgate \
  && mv bin dist ui package.json LICENSE node_modules /image/opt/taskgate/ \
  && ln -s /opt/taskgate/bin/taskgate /image/usr/local/bin/taskgate \
  && cp /etc/passwd /etc/group /image/etc/ \
  && echo "taskgate:x:10001:10001:taskgate:/home/taskgate:/bin/sh" >> /image/etc/passwd \
  && echo "taskgate:x:10001:" >> /image/etc/group \
  && chmod 1777 /image/home/taskgate

FROM ${BASE}
ARG VERSION=dev
LABEL org.opencontainers.image.title="taskgate" \
  org.opencontainers.image.description="One gate to everything your jobs serve." \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
ENV HOME=/home/taskgate NODE_ENV=production
# By number: what says that root may not run (runAsNonRoot) looks at no names.
USER 10001:10001
EXPOSE 7080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/taskgate/bin/taskgate"]
CMD ["up", "--quiet"]
